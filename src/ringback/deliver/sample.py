"""A test delivery: one signed attempt with a prediction as receivers will see them. Nothing of it is stored.

It goes the way of every webhook: the same signing, the same address rules, the same deadline. What tells it
from a real one is the header `ringback-test`, and that nobody can GET its prediction.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from ringback.deliver.dispatcher import Sender
from ringback.deliver.signing import signed
from ringback.rules.attempt import Result
from ringback.rules.example import example
from ringback.rules.prediction import EVENTS, Event, mask
from ringback.rules.retry import SECOND
from ringback.rules.snapshot import Facts, Links, render
from ringback.rules.url import origin_of
from ringback.words.errors import TooMany
from ringback.words.ids import delivery_id
from ringback.words.json import canonical
from ringback.words.signature import Signer

log = logging.getLogger(__name__)

_AT_A_TIME = 4
_RETRY_AFTER_S = 5
_IN_A_MINUTE = 30
_MINUTE_S = 60.0
_RAN_S = 2
"""Seconds that the prediction of a test has taken."""


class Shape(Struct, frozen=True):
    """What the prediction of a test looks like.

    Attributes:
        model: owner/name.
        version: 64 hexadecimal digits.
        input: JSON.
        output: JSON.
    """

    model: str
    version: str
    input: Any
    output: Any


class Sent(Struct, frozen=True):
    """What was sent, and what it came to."""

    headers: dict[str, str]
    body: bytes
    result: Result


def text_to_image(file: str) -> Shape:
    """Give the shape of the model that most people meet first; `file` is its output's URL."""
    given = {"prompt": "A misty forest at dawn", "num_outputs": 1, "aspect_ratio": "1:1"}
    return Shape("black-forest-labs/flux-schnell", "5f" * 32, given, [file])


def of_model(model: str, version: str, openapi_schema: dict[str, Any], file: str) -> Shape:
    """Give the shape of a model by its schema.

    Args:
        model: owner/name.
        version: its version's id.
        openapi_schema: the version's OpenAPI document.
        file: the URL of an example file.
    """
    schemas = openapi_schema.get("components", {}).get("schemas", {})
    given, output = (example(schemas.get(name), schemas, file) for name in ("Input", "Output"))
    return Shape(model, version, given or {}, output)


def snapshot(id_: str, event: Event, url: str, shape: Shape, now: int, links: Links) -> bytes:
    """Render the prediction of a test as it is when `event` happens, at `now` (microseconds)."""
    has_ended = event == "completed"
    took = {"predict_time": _RAN_S - 0.25, "total_time": _RAN_S}
    facts = Facts(
        id_,
        shape.model,
        shape.version,
        "succeeded" if has_ended else "processing",
        canonical(shape.input).decode(),
        "api",
        now - _RAN_S * SECOND,
        now - _RAN_S * SECOND + SECOND // 4,
        now if has_ended else None,
        None,
        canonical(took).decode() if has_ended else "{}",
        url,
        mask((event,)),
        data_removed=False,
    )
    chunks = [("logs", "a test delivery of Ringback\n"), ("value", canonical(shape.output).decode())]
    return render(facts, [] if event == "start" else chunks, links)


class Samples:
    """Sends test deliveries, a few at a time and a few a minute.

    Any URL may be given, and the answer tells what is there: nobody is to make a server knock everywhere.
    """

    def __init__(
        self,
        sender: Sender,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
        keys: Callable[[], Sequence[Signer]] = tuple,
    ) -> None:
        """Take what it works with.

        Args:
            sender: what makes an attempt.
            clock: the wall clock, microseconds.
            monotonic: a clock that never steps, seconds.
            keys: gives the private keys that sign beside the secrets.
        """
        self._sender = sender
        self._clock = clock
        self._monotonic = monotonic
        self._keys = keys
        self._under_way = 0
        self._begun = deque[float](maxlen=_IN_A_MINUTE)

    async def send(
        self, id_: str, event: Event, url: str, shape: Shape, secrets: Sequence[str], links: Links
    ) -> Sent:
        """Make one attempt at `url`, which was checked like any webhook's.

        Raises:
            TooMany: four are under way already, or thirty have begun within a minute.
        """
        self._admit()
        self._under_way += 1
        try:
            body = snapshot(id_, event, url, shape, self._clock(), links)
            headers = self._headers(id_, event, secrets, body)
            result = await self._sender.post(url, headers, body)
        finally:
            self._under_way -= 1
        said = result.diagnosis or f"acknowledged with {result.status}"
        log.info("test delivery (%s) to %s: %s", event, origin_of(url), said)
        return Sent(headers, body, result)

    def _admit(self) -> None:
        if self._under_way >= _AT_A_TIME:
            raise TooMany(
                f"{_AT_A_TIME} test deliveries are under way already; try again in a moment", _RETRY_AFTER_S
            )
        now = self._monotonic()
        if len(self._begun) == _IN_A_MINUTE and (left := self._begun[0] + _MINUTE_S - now) > 0:
            wait = math.ceil(left)
            raise TooMany(
                f"{_IN_A_MINUTE} test deliveries were made within a minute; try again in {wait} s", wait
            )
        self._begun.append(now)

    def _headers(self, id_: str, event: Event, secrets: Sequence[str], body: bytes) -> dict[str, str]:
        webhook_id = delivery_id(id_, EVENTS.index(event) + 1)
        return {
            **signed(webhook_id, body, self._clock(), secrets, self._keys()),
            "ringback-event": event,
            "ringback-attempt": "1",
            "ringback-test": "1",
        }
