"""The shapes of requests: what may stand in the body that creates a prediction, and what is wrong with it."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

from ringback.api.moment import moment
from ringback.rules.address import AddressRules, refusal
from ringback.rules.prediction import EVENTS, Event
from ringback.rules.schema import invalid_input
from ringback.rules.url import endpoint_of, literal_address, origin_of, url_fault
from ringback.store.predictions import Webhook
from ringback.words.errors import Invalid, InvalidField

_KEYS = frozenset({"version", "input", "webhook", "webhook_events_filter", "webhook_completed", "stream"})
_TRAINING_KEYS = frozenset({"destination", "input", "webhook", "webhook_events_filter", "webhook_completed"})
_TEST_KEYS = frozenset({"url", "event", "model"})
_EVENT_OPTIONS = ", ".join(f'"{event}"' for event in EVENTS)
_FOR_EVER = 1 << 62
_MANY = 20
"""Faults listed at most."""


@dataclass(frozen=True, slots=True)
class Create:
    """A create request, checked but for the input, which only the version can check."""

    version: str | None
    input: dict[str, Any]
    webhook: Webhook | None


@dataclass(frozen=True, slots=True)
class HookRules:
    """What a webhook may be.

    Attributes:
        addresses: which addresses may be dialled.
        default_events: the filter when none is given.
    """

    addresses: AddressRules
    default_events: frozenset[Event]


def create(body: dict[str, Any], hooks: HookRules, *, with_version: bool) -> Create:
    """Check a create request's body.

    Args:
        body: the JSON object.
        hooks: what a webhook may be.
        with_version: whether `version` is required (else it is not allowed: the path names the model).

    Raises:
        Invalid: with each fault.
    """
    faults = _unknown(body, _KEYS if with_version else _KEYS - {"version"})
    version = body.get("version")
    if with_version:
        faults += _version(body)
    faults += _required(body, "input", dict, "object")
    if not isinstance(body.get("stream", False), bool | None):
        faults.append(_type("stream", "boolean"))
    webhook = _webhook(body, hooks, faults)
    _raise(faults)
    return Create(version if with_version else None, body["input"], webhook)


def training(body: dict[str, Any], hooks: HookRules) -> tuple[str, Create]:
    """Check the body that creates a training; give its destination and the rest.

    Raises:
        Invalid: with each fault.
    """
    faults = _unknown(body, _TRAINING_KEYS)
    faults += _required(body, "destination", str, "string") + _required(body, "input", dict, "object")
    webhook = _webhook(body, hooks, faults)
    _raise(faults)
    return body["destination"], Create(None, body["input"], webhook)


@dataclass(frozen=True, slots=True)
class Test:
    """The body of a request for a test delivery, checked."""

    url: str
    event: Event
    model: str | None


def test(body: dict[str, Any], hooks: HookRules) -> Test:
    """Check the body of a request for a test delivery.

    Raises:
        Invalid: with each fault.
    """
    faults = _unknown(body, _TEST_KEYS) + _required(body, "url", str, "string")
    url = _url(body, "url", hooks, faults) if not faults else None
    event, model = body.get("event", "completed"), body.get("model")
    if event not in EVENTS:
        faults.append(InvalidField("enum", "event", f"Must be one of the following: {_EVENT_OPTIONS}"))
    if not isinstance(model, str | None):
        faults.append(_type("model", "string"))
    _raise(faults)
    return Test(str(url), event, model)


def resend(body: dict[str, Any]) -> bool:
    """Check the body of a request to send a delivery again; give whether it may go backwards.

    Raises:
        Invalid: with each fault.
    """
    faults = _unknown(body, frozenset({"force"}))
    force = body.get("force", False)
    if not isinstance(force, bool):
        faults.append(_type("force", "boolean"))
    _raise(faults)
    return bool(force)


@dataclass(frozen=True, slots=True)
class Dead:
    """Which dead deliveries to send again: to an endpoint or all, of events between two times (us)."""

    endpoint: str | None
    since: int
    until: int


def resend_dead(body: dict[str, Any]) -> Dead:
    """Check the body of a request to send dead deliveries again.

    Raises:
        Invalid: with each fault.
    """
    faults = _unknown(body, frozenset({"endpoint", "since", "until"}))
    url = _endpoint(body, "endpoint", faults)
    since, until = _moment(body, "since", 0, faults), _moment(body, "until", _FOR_EVER, faults)
    _raise(faults)
    return Dead(url, since, until)


def endpoint(body: dict[str, Any]) -> str:
    """Check the body of a request about one endpoint; give its URL without user and query.

    Raises:
        Invalid: with each fault.
    """
    faults = _unknown(body, frozenset({"url"})) + _required(body, "url", str, "string")
    url = _endpoint(body, "url", faults) if not faults else None
    _raise(faults)
    return str(url)


def _endpoint(body: dict[str, Any], key: str, faults: list[InvalidField]) -> str | None:
    url = body.get(key)
    if url is None:
        return None
    fault = url_fault(url) if isinstance(url, str) else None
    if not isinstance(url, str):
        faults.append(_type(key, "string"))
    elif fault is not None:
        faults.append(InvalidField("format", key, f"The URL {fault}"))
    else:
        return endpoint_of(url)
    return None


def _moment(body: dict[str, Any], key: str, default: int, faults: list[InvalidField]) -> int:
    text = body.get(key)
    if text is None:
        return default
    if not isinstance(text, str):
        faults.append(_type(key, "string"))
        return default
    try:
        return moment(text)
    except (ValueError, OverflowError) as error:
        faults.append(InvalidField("format", key, str(error)))
        return default


def _raise(faults: list[InvalidField]) -> None:
    if faults:
        raise invalid_input(tuple(faults[:_MANY]))


def _unknown(body: dict[str, Any], allowed: frozenset[str]) -> list[InvalidField]:
    return [
        InvalidField("additional_property_not_allowed", "", f"Additional property {key[:100]} is not allowed")
        for key in body
        if key not in allowed
    ]


def _version(body: dict[str, Any]) -> list[InvalidField]:
    if "model" in body and "version" not in body:
        return [InvalidField("required", "", "version is required: give the model's owner/name as version")]
    return _required(body, "version", str, "string")


def _required(body: dict[str, Any], key: str, kind: type, name: str) -> list[InvalidField]:
    if key not in body:
        return [InvalidField("required", "", f"{key} is required")]
    return [] if isinstance(body[key], kind) else [_type(key, name)]


def _type(field: str, name: str) -> InvalidField:
    return InvalidField("invalid_type", field, f"Invalid type. Expected: {name}")


def _webhook(body: dict[str, Any], hooks: HookRules, faults: list[InvalidField]) -> Webhook | None:
    given = _events(body.get("webhook_events_filter"), faults)
    events = hooks.default_events if given is None else given
    webhook = _url(body, "webhook", hooks, faults)
    completed = _url(body, "webhook_completed", hooks, faults)
    if webhook is not None and events:
        return Webhook(webhook, endpoint_of(webhook), origin_of(webhook), events)
    if completed is not None:
        return Webhook(completed, endpoint_of(completed), origin_of(completed), frozenset({"completed"}))
    return None


def _url(body: dict[str, Any], key: str, hooks: HookRules, faults: list[InvalidField]) -> str | None:
    url = body.get(key)
    if url is None:
        return None
    if not isinstance(url, str):
        faults.append(_type(key, "string"))
        return None
    fault = _fault(url, hooks.addresses)
    if fault is not None:
        faults.append(InvalidField("format", key, f"The URL {fault}"))
        return None
    return url


def _fault(url: str, rules: AddressRules) -> str | None:
    fault = url_fault(url)
    if fault is not None:
        return fault
    address = literal_address(url)
    reason = None if address is None else refusal(rules, address)
    return None if reason is None else f"is refused: {reason}"


def _events(given: Any, faults: list[InvalidField]) -> frozenset[Event] | None:
    if given is None:
        return None
    if not isinstance(given, list):
        faults.append(_type("webhook_events_filter", "array"))
        return None
    unknown = (place for place, event in enumerate(given) if event not in EVENTS)
    faults += [
        InvalidField(
            "enum", f"webhook_events_filter.{place}", f"Must be one of the following: {_EVENT_OPTIONS}"
        )
        for place in islice(unknown, _MANY)
    ]
    return frozenset(event for event in given if event in EVENTS)


def cursor_fault() -> Invalid:
    """Make the error for a cursor that is not ours."""
    field = InvalidField(
        "format", "cursor", "Not a cursor of this list: follow `next` and `previous` as given"
    )
    return Invalid(field.description, title="Invalid cursor", fields=(field,))
