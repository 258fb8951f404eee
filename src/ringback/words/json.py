"""The one JSON text of a value: canonical, so that JavaScript writes it back as it came.

Frameworks hand a webhook's handler the parsed body, and handlers then check the signature over
`JSON.stringify(body)`. So what is signed must satisfy `JSON.stringify(JSON.parse(text)) === text`:

- no spaces; strings escaped only where `JSON.stringify` escapes (ECMA-262, QuoteJSONString);
- numbers as `Number::toString` writes them: 1.0 is `1`, 1e16 is `10000000000000000`, 1e21 is `1e+21`;
- keys that are array indices ("0" to "4294967294") first and ascending, the others in their own order
  (OrdinaryOwnPropertyKeys);
- a lone surrogate, which UTF-8 can't carry, becomes U+FFFD, as `String.prototype.toWellFormed` does it.

What can't survive that round trip is an int beyond ±2^53: its digits are kept exact here, and JavaScript
writes the nearest double's shortest ones back (2^60 comes back as 1152921504606847000, and 10^21 as 1e+21).
An exact number that some receivers round is better than one that all of them get rounded.
"""

import math
import re
from typing import Any

import msgspec

Raw = msgspec.Raw
"""A piece of text that is canonical JSON already; it goes into the result as it is."""

_DECODE_DEPTH = 200
_CANONICAL_DEPTH = _DECODE_DEPTH + 50  # room for the envelope around what `decode` let in
_EXACT = 2**53
_OVERFLOW = 2**1023
_LAST_INDEX = 2**32 - 2
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_LEAVES = frozenset({str, int, bool, type(None), Raw})
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _UnfitError(Exception):
    """A value that JSON has no word for; `path` grows from the leaf to the root while it rises."""

    def __init__(self, error: type[Exception], fault: str) -> None:
        super().__init__(fault)
        self.error = error
        self.fault = fault
        self.path: list[str] = []


def canonical(value: Any) -> bytes:
    """Give the canonical JSON text of `value`: None, bool, int, float, str, list, tuple, dict or `Raw`.

    Of keys that become equal when their surrogates are replaced, the last one's value wins.

    Raises:
        ValueError: a number is NaN or infinite, or the value is nested deeper than 250; names where.
            Also for an int of more than 4300 digits (Python's own limit).
        TypeError: JSON has no such type, or a key is not a string; names where.
    """
    try:
        fitted = value if type(value) in _LEAVES else _fit(value, 0)
    except _UnfitError as unfit:
        where = "".join(reversed(unfit.path)).removeprefix(".") or "the value"
        raise unfit.error(f"{where} {unfit.fault}") from None
    try:
        return _encode(fitted)
    except UnicodeEncodeError:
        return _encode(_well_formed(fitted))


def comparable(value: Any) -> bytes:
    """Give a text that is the same for values that JSON (RFC 8259) takes for the same.

    The order of keys and the spelling of numbers say nothing: 1 is 1.0, and 10^21 is 1e21.

    Args:
        value: what `decode` gave, or a list or dict of such.
    """
    return msgspec.json.encode(_by_value(value), order="deterministic")


def _by_value(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {key: _by_value(item) for key, item in value.items()}
    if kind is list:
        return [_by_value(item) for item in value]
    if kind is float:
        return int(value) if value.is_integer() and abs(value) <= _EXACT else value
    if kind is int and abs(value) > _EXACT:
        # The shorter of the two texts: 1e300 as an int has 301 digits.
        return float(value) if abs(value) < _OVERFLOW and float(value) == value else value
    return value


def decode(data: bytes) -> Any:
    """Read JSON text, strictly (RFC 8259): of equal keys the last one wins, ints keep all their digits.

    Raises:
        ValueError: not UTF-8, not JSON, NaN, a number beyond a double's range, a lone surrogate, or nested
            deeper than 200.
    """
    try:
        value = _decode(data)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError as error:
        raise ValueError(f"JSON is malformed: a string is not UTF-8 ({error.reason})") from None
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    # Counting bytes is far cheaper than walking the value, and clears nearly every document.
    if data.count(b"[") + data.count(b"{") > _DECODE_DEPTH and _deeper_than(value, _DECODE_DEPTH):
        raise _too_deep()
    return value


def _too_deep() -> ValueError:
    return ValueError(f"JSON is nested deeper than {_DECODE_DEPTH}")


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        children: list[Any] = []
        for node in level:
            if type(node) is dict:
                children.extend(node.values())
            elif type(node) is list:
                children.extend(node)
        if not children:
            return False
        level = [node for node in children if type(node) is dict or type(node) is list]
    return bool(level)


def _fit(value: Any, depth: int) -> Any:
    """Give `value` as msgspec must be given it: itself where nothing changes, for speed."""
    kind = type(value)
    if kind is float:
        return _number(value)
    if kind not in (dict, list, tuple):
        raise _UnfitError(TypeError, f"is a {kind.__name__}, which JSON can't carry")
    if depth >= _CANONICAL_DEPTH:
        raise _UnfitError(ValueError, f"is nested deeper than {_CANONICAL_DEPTH}")
    return _fit_object(value, depth) if kind is dict else _fit_array(value, depth)


def _fit_object(value: dict[str, Any], depth: int) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    has_index = False
    for key, item in value.items():
        if type(key) is not str:
            raise _UnfitError(TypeError, f"has the key {key!r}, which is not a string")
        if "0" <= key[:1] <= "9":
            has_index = has_index or _is_index(key)
        if type(item) not in _LEAVES:
            try:
                fitted = _fit(item, depth + 1)
            except _UnfitError as unfit:
                unfit.path.append(f".{_well_formed(key)}")
                raise
            if fitted is not item:
                changed[key] = fitted
    if changed:
        value = value | changed
    return _indices_first(value) if has_index else value


def _fit_array(value: list[Any] | tuple[Any, ...], depth: int) -> list[Any] | tuple[Any, ...]:
    changed: dict[int, Any] = {}
    for place, item in enumerate(value):
        if type(item) not in _LEAVES:
            try:
                fitted = _fit(item, depth + 1)
            except _UnfitError as unfit:
                unfit.path.append(f"[{place}]")
                raise
            if fitted is not item:
                changed[place] = fitted
    if not changed:
        return value
    return [changed.get(place, item) for place, item in enumerate(value)]


def _is_index(key: str) -> bool:
    return _INDEX.fullmatch(key) is not None and int(key) <= _LAST_INDEX


def _indices_first(value: dict[str, Any]) -> dict[str, Any]:
    indices = sorted((key for key in value if _is_index(key)), key=int)
    return {key: value[key] for key in indices} | value


def _number(value: float) -> float | int | Raw:
    if not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "infinite"
        raise _UnfitError(ValueError, f"is {name}, which JSON can't carry")
    if value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    text = repr(value)
    if "e" not in text and not text.endswith(".0"):
        return value
    return Raw(_ecmascript(text).encode())


def _ecmascript(text: str) -> str:
    """Rewrite Python's shortest digits as ECMA-262 `Number::toString` sets them."""
    sign = "-" if text.startswith("-") else ""
    mantissa, _, power = text.lstrip("-").removesuffix(".0").partition("e")
    exponent = int(power or 0)
    whole, _, fraction = mantissa.partition(".")
    if 0 <= exponent < 21:  # noqa: PLR2004 - the bounds are Number::toString's own
        return sign + whole + fraction.ljust(exponent, "0")
    if -7 < exponent < 0:  # noqa: PLR2004
        return sign + "0." + "0" * (-exponent - 1) + whole + fraction
    return f"{sign}{mantissa}e{exponent:+d}"


def _well_formed(value: Any) -> Any:
    if type(value) is str:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if type(value) is dict:
        return {_well_formed(key): _well_formed(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [_well_formed(item) for item in value]
    return value
