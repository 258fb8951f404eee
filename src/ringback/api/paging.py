"""Pages of lists sorted by a number, such as a time, and then a name: `next`, `previous` and `results`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api.listing import following, matched
from ringback.api.service import Service

_CURSOR = re.compile(r"(next|previous)=(-?[0-9]{1,18})\.([A-Za-z0-9._/-]{1,300})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: at what follows a place (`next`), or with what stands before it (`previous`)."""

    side: Literal["next", "previous"]
    key: int
    name: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a list.

    Attributes:
        results: JSON texts, in order.
        places: the number and the name by which the first and the last of them are sorted; empty if there
            are none.
        earlier: whether something stands before them.
        later: whether something follows.
    """

    results: Sequence[bytes]
    places: Sequence[tuple[int, str]]
    earlier: bool = False
    later: bool = False


def cursor(query: Mapping[str, str]) -> Cursor | None:
    """Read the cursor, if there is one.

    Raises:
        Invalid: it is none of ours.
    """
    match = matched(_CURSOR, query)
    if match is None:
        return None
    return Cursor("next" if match[1] == "next" else "previous", int(match[2]), match[3])


def page(here: Service, request: Request, path: str, part: Part) -> Response:
    """Answer with a part of the list at `path` (such as /models). Links are absolute, for all clients."""

    def link(side: str, place: tuple[int, str]) -> str:
        return following(f"{here.links.base}/v1{path}", request.query_params, f"{side}={place[0]}.{place[1]}")

    body = {
        "next": link("next", part.places[-1]) if part.later and part.places else None,
        "previous": link("previous", part.places[0]) if part.earlier and part.places else None,
        "results": [msgspec.Raw(text) for text in part.results],
    }
    return Response(msgspec.json.encode(body), media_type="application/json")
