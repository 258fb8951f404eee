"""The query of a list of deliveries: its filters, its limit, its cursor."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from ringback.api.moment import moment
from ringback.api.wire import cursor_fault
from ringback.rules.prediction import EVENTS
from ringback.rules.schema import invalid_input
from ringback.rules.url import endpoint_of, url_fault
from ringback.store.deliveries import Place, Wanted
from ringback.words.errors import Invalid, InvalidField
from ringback.words.ids import PREDICTION_ID

STATUSES = ("pending", "delivered", "superseded", "dead")
_LIMIT, _MOST = 100, 1000
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9a-z]{0,26})\.([0-9]{1,18})")
_SHOWN = 100
"""Characters shown of a name that the request made up."""


def _id(text: str) -> str:
    if not PREDICTION_ID.fullmatch(text):
        raise ValueError("Must be the id of a prediction")
    return text


def _endpoint(text: str) -> str:
    fault = url_fault(text)
    if fault is not None:
        raise ValueError(f"The URL {fault}")
    return endpoint_of(text)


def _one_of(options: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in options:
            raise ValueError(f"Must be one of the following: {', '.join(options)}")
        return text

    return read


_FILTERS: dict[str, Callable[[str], Any]] = {
    "prediction": _id,
    "endpoint": _endpoint,
    "status": _one_of(STATUSES),
    "event": _one_of(EVENTS),
    "created_after": moment,
    "created_before": moment,
}


def wanted(query: Mapping[str, str]) -> Wanted:
    """Read the filters.

    Raises:
        Invalid: one is wrong, or there is no such filter (a misspelt one would be silently without effect).
    """
    faults: list[InvalidField] = []
    values: dict[str, Any] = {}
    known = [*_FILTERS, "limit", "cursor"]
    for key, text in query.items():
        if key not in known:
            told = f"There is no filter {key[:_SHOWN]}; there are {', '.join(known)}"
            faults.append(InvalidField("additional_property_not_allowed", "", told))
        elif key in _FILTERS:
            try:
                values[key] = _FILTERS[key](text)
            except (ValueError, OverflowError) as error:
                faults.append(InvalidField("format", key, str(error)))
    if faults:
        raise invalid_input(tuple(faults[:20]))
    return Wanted(**values)


def limit(query: Mapping[str, str]) -> int:
    """Read how many there may be on a page: 100, or as asked.

    Raises:
        Invalid: it is no number from 1 to 1000.
    """
    text = query.get("limit", str(_LIMIT))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= _MOST:
        raise _fault("limit", f"Must be a number from 1 to {_MOST}")
    return int(text)


def _fault(field: str, description: str) -> Invalid:
    return invalid_input((InvalidField("format", field, description),))


def place(query: Mapping[str, str]) -> Place | None:
    """Read the cursor.

    Raises:
        Invalid: it is none of ours.
    """
    match = matched(_CURSOR, query)
    return None if match is None else Place(int(match[1]), match[2], int(match[3]))


def matched(form: re.Pattern[str], query: Mapping[str, str]) -> re.Match[str] | None:
    """Give what the cursor holds by its form; None if there is none.

    Raises:
        Invalid: it is none of ours.
    """
    if "cursor" not in query:
        return None
    match = form.fullmatch(uncovered(query["cursor"]))
    if match is None:
        raise cursor_fault()
    return match


def following(base: str, query: Mapping[str, str], cursor: str) -> str:
    """Give the absolute URL of the next page: the same query, from `cursor` on."""
    kept = {key: value for key, value in query.items() if key != "cursor"}
    return f"{base}?{urlencode({**kept, 'cursor': covered(cursor)})}"


def covered(text: str) -> str:
    """Write a cursor so that nobody takes it for something to make up."""
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def uncovered(cursor: str) -> str:
    """Read what `covered` wrote.

    Raises:
        Invalid: it is none of ours.
    """
    try:
        return base64.b64decode(cursor.encode() + b"==", altchars=b"-_").decode()
    except (binascii.Error, UnicodeError):
        raise cursor_fault() from None
