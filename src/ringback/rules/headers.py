"""Extra headers for some destinations: what they may be, and which request gets them.

Their values are often secrets: nothing here shows one, neither a repr nor a fault.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from ringback.rules.url import origin_of, redacted, url_fault

Tables = Mapping[str, Mapping[str, str]]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_FORBIDDEN_IN_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, 5.5
_SHORTEST_SECRET = 4  # characters; shorter ones are everywhere
_SEPARATORS = re.compile(r"[/\\]")
_OF_CONNECTIONS = frozenset(
    {"connection", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_OF_BODIES = frozenset({"content-encoding", "content-length", "content-type", "expect"})
_OURS = _OF_CONNECTIONS | _OF_BODIES | {"user-agent"}
_OUR_BEGINNINGS = ("proxy-", "ringback-", "webhook-")


@dataclass(frozen=True, slots=True)
class ExtraHeaders:
    """Headers by destination; made by `extra_headers`.

    Attributes:
        by_origin: for each origin its path prefixes, the longest first, with their headers.
    """

    by_origin: Mapping[str, tuple[tuple[str, Mapping[str, str]], ...]] = field(
        default_factory=dict, repr=False
    )

    def of(self, url: str) -> Mapping[str, str]:
        """The headers for a request to `url` (one without fault): those of the longest prefix that fits.

        Prefixes end where a segment of the path ends. A path with "." or ".." in it, in whatever spelling,
        fits no prefix but the origin itself: what the receiver makes of it can't be known.
        """
        if not self.by_origin:
            return {}
        try:
            prefixes = self.by_origin.get(origin_of(url), ())
        except (ValueError, KeyError):  # egress says what is wrong with it
            return {}
        parts = urlsplit(url)
        path = "" if _climbs(parts.path) else parts.path
        found = next((headers for prefix, headers in prefixes if _fits(prefix, path)), {})
        if "@" not in parts.netloc:
            return found
        return {name: value for name, value in found.items() if name != "authorization"}  # the URL's own goes

    def hidden(self, url: str, text: str) -> str:
        """`text` from the receiver at `url`, with the values that went there as ***: some echo requests."""
        for value in self.of(url).values():
            if len(value) >= _SHORTEST_SECRET:
                text = text.replace(value, "***")
        return text


def extra_headers(tables: Tables) -> ExtraHeaders:
    """Make them from tables of names and values by destination, which have no faults."""
    by_origin: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for destination, table in tables.items():
        origin, path = _normal(destination)
        headers = {name.lower(): value for name, value in table.items()}
        by_origin.setdefault(origin, []).append((path, headers))
    return ExtraHeaders(
        {
            origin: tuple(sorted(prefixes, key=lambda prefix: -len(prefix[0])))
            for origin, prefixes in by_origin.items()
        }
    )


def header_faults(tables: Tables) -> Iterator[str]:
    """Say what is wrong with each wrong destination, name or value: `."https://a.example".x y: is not …`."""
    seen = set()
    for destination, table in tables.items():
        where = f'."{redacted(destination)}"'
        fault = _destination_fault(destination)
        if fault is not None:
            yield f"{where} {fault}"
            continue
        if _normal(destination) in seen:
            yield f"{where} stands there twice"
        seen.add(_normal(destination))
        yield from (f"{where}{fault}" for fault in _table_faults(table))


def _table_faults(table: Mapping[str, str]) -> Iterator[str]:
    names = [name.lower() for name in table]
    for name, value in table.items():
        fault = _name_fault(name.lower()) or value_fault(value)
        if fault is not None:
            yield f".{name!r} {fault}"
        elif names.count(name.lower()) > 1:
            yield f".{name!r} stands there twice"


def value_fault(value: str) -> str | None:
    """Say what is wrong with a header's value, without repeating it; None if nothing is."""
    if _FORBIDDEN_IN_VALUES.search(value):
        return "has a value with line ends or other control characters"
    if value != value.strip():
        return "has a value that begins or ends with spaces"
    # what else is allowed (RFC 9110, 5.5) has no meaning that sender and receiver agree on
    return None if value.isascii() else "has a value with characters beyond ASCII"


def _name_fault(name: str) -> str | None:
    if not _TOKEN.fullmatch(name):
        return "is no header name"
    if name in _OURS or name.startswith(_OUR_BEGINNINGS):
        return "is a header that ringback sets itself"
    return None


def _destination_fault(text: str) -> str | None:
    fault = url_fault(text)
    if fault is not None:
        return fault
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "must be scheme, host, port and path only: no user, query or fragment"
    return "must have no . or .. in its path" if _climbs(parts.path) else None


def _normal(destination: str) -> tuple[str, str]:
    return origin_of(destination), urlsplit(destination).path.rstrip("/")


def _fits(prefix: str, path: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/") or not prefix


def _climbs(path: str) -> bool:
    """Whether a receiver may take `path` for another one than it begins with: ..;x is .. to some."""
    segments = _SEPARATORS.split(unquote(path))
    return any(segment.partition(";")[0] in {".", ".."} for segment in segments)
