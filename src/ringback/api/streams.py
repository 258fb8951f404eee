"""GET /stream/{id}/{key}: a prediction as server-sent events, from its beginning or from where one left off.

The events and their data: replicate.com/docs/topics/predictions/streaming; the format:
html.spec.whatwg.org/multipage/server-sent-events.html. Whoever has the URL may read it: the JavaScript client
sends no token. An event's id is the place after it, so that `Last-Event-ID` goes on from there.
"""

import hmac
import re
from collections.abc import AsyncIterator, Iterator

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ringback.api.service import Service
from ringback.rules.prediction import TERMINAL
from ringback.rules.snapshot import Chunk
from ringback.store import streams
from ringback.store.streams import Standing
from ringback.words import json
from ringback.words.errors import Gone, NotFound
from ringback.words.ids import PREDICTION_ID

_QUIET_S = 10.0
"""Seconds after which a comment shows both sides that the other is there, with a look at the store."""

_BATCH = 200
"""Chunks read at a time, if they are small: so much of a long stream is in memory (see streams.SIZE)."""

_SENT = 256_000
"""Bytes that the connection gets at a time: it copies what a slow reader has not taken yet."""

_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,9}):([0-9]{1,9})")
_LINE = re.compile(r"\r\n|\r|\n")
_HEADERS = {
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would collect the events
    "x-content-type-options": "nosniff",
}


class _Place(Struct, frozen=True):
    """How far a stream is: in which run, the next chunk, and items of that chunk already sent."""

    run: int = 0
    sequence: int = 1
    item: int = 0

    def __str__(self) -> str:
        return f"{self.run}-{self.sequence}:{self.item}"


async def stream(here: Service, request: Request) -> Response:
    """Send a prediction's output and logs as they come, then `done`."""
    id_, key = str(request.path_params["id"]), str(request.path_params["key"])
    is_own = bool(PREDICTION_ID.fullmatch(id_)) and key.isascii()
    if not is_own or not hmac.compare_digest(here.links.stream_key(id_), key):
        raise NotFound("There is no such stream.")
    standing = await _look(here, id_, _Place())
    if standing is None:
        raise NotFound("There is no such stream.")
    if standing.data_removed:
        raise Gone("The output and logs of this prediction have been removed.")
    place = _place(request.headers.get("last-event-id", ""))
    return StreamingResponse(_events(here, id_, place), 200, _HEADERS, media_type="text/event-stream")


def _place(text: str) -> _Place:
    match = _ID.fullmatch(text)
    return _Place() if match is None else _Place(int(match[1]), int(match[2]), int(match[3]))


async def _look(here: Service, id_: str, place: _Place) -> Standing | None:
    return await here.outbox.database.read(lambda tx: streams.since(tx, id_, place.sequence, _BATCH))


async def _events(here: Service, id_: str, place: _Place) -> AsyncIterator[bytes]:
    yield b": hi\n\n"
    with here.watchers.watching(id_, only_end=False) as watch:
        while True:
            standing = await _look(here, id_, place)
            if standing is None:
                return
            if not await _may_go_on(here, id_, place, standing):
                place = _Place(standing.run)
                continue
            following = _following(standing, place)
            for text, after in _shown(standing.chunks, place):
                for start in range(0, len(text), _SENT):
                    yield text[start : start + _SENT]
                place = after
            place = following
            if standing.more:
                continue
            if standing.status in TERMINAL or here.watchers.closing:
                yield _ending(standing, place)
                return
            if not await watch.changed(_QUIET_S):
                yield b": still here\n\n"


async def _may_go_on(here: Service, id_: str, place: _Place, standing: Standing) -> bool:
    """Say whether what was read may be sent; if not, the place is none of this run."""
    if standing.run != place.run:
        return False  # of an earlier run there is nothing left, or (before the first) nothing has been sent
    if not standing.chunks or standing.streamed or standing.status in TERMINAL:
        return True
    # Kept before anything is sent: what somebody has seen is not silently begun anew.
    return await here.outbox.database.write(lambda tx: streams.mark(tx, id_, place.run))


def _following(standing: Standing, place: _Place) -> _Place:
    """Give the place after all that was read."""
    return _Place(place.run, standing.chunks[-1][0] + 1) if standing.chunks else place


def _shown(chunks: list[tuple[int, Chunk]], place: _Place) -> Iterator[tuple[bytes, _Place]]:
    """Give the events of what was read, each with the place after it.

    Takes them out of the list: while a slow reader is waited for, what it has been sent is not kept.
    """
    chunks.reverse()
    while chunks:
        sequence = chunks[-1][0]
        skipped = place.item if sequence == place.sequence else 0
        pieces = _pieces(chunks.pop()[1])[skipped:]
        pieces.reverse()
        item = skipped
        while pieces:
            item += 1
            after = _Place(place.run, sequence, item)
            yield _event(*pieces.pop(), after), after


def _pieces(chunk: Chunk) -> list[tuple[str, str]]:
    """Give a chunk's events: name and data."""
    kind, data = chunk
    if kind == "logs":
        return [("logs", data)]
    value = json.decode(data.encode())
    return [("output", _text(item)) for item in (value if isinstance(value, list) else [value])]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.canonical(value).decode()


def _ending(standing: Standing, place: _Place) -> bytes:
    if standing.status not in TERMINAL:
        return b": the server stops; ask again with Last-Event-ID\n\n"
    if standing.status == "failed":
        detail = json.canonical({"detail": standing.error or "failed"}).decode()
        return _event("error", detail, place) + _event("done", '{"reason":"error"}', place)
    return _event("done", '{"reason":"canceled"}' if standing.status == "canceled" else "{}", place)


def _event(name: str, data: str, place: _Place) -> bytes:
    lines = "".join(f"data: {line}\n" for line in _LINE.split(data))
    return f"event: {name}\nid: {place}\n{lines}\n".encode()
