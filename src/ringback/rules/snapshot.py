"""A prediction as JSON: the body of GET, of every webhook and of the create answer, made in one place.

The text is canonical (words/json.py), so its pieces (input, outputs) are stored canonical and joined here
without being parsed again. Fields and their order: Replicate's prediction object
(replicate.com/docs/reference/http#predictions.get), the superset that all three official clients accept.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from msgspec import Struct

from ringback.rules.prediction import Kind, Status, unmask

Chunk = tuple[str, str]
"""A piece of output or logs: its kind (value, items or logs) and its data."""

_text = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Links:
    """Where this server is reached from outside.

    Attributes:
        base: scheme, host and port (and path prefix), without a trailing slash.
        key: makes stream URLs that nobody can guess; without one there are none.
    """

    base: str
    key: bytes = b""

    def stream(self, id_: str) -> str:
        """Give the URL of a prediction's stream, which serves whoever has it.

        It must not begin with /v1/files: the JavaScript client takes such a stream for one of files.
        """
        return f"{self.base}/stream/{id_}/{self.stream_key(id_)}"

    def stream_key(self, id_: str) -> str:
        """Give the part of a prediction's stream URL that can't be guessed: 128 bits.

        Keyed BLAKE2 (RFC 7693): an HMAC costs ten times as much, in every body and answer.
        """
        return hashlib.blake2b(id_.encode(), key=self.key, person=b"stream", digest_size=16).hexdigest()


class Facts(Struct, frozen=True):
    """A prediction as it stood at one moment. Times are microseconds since the epoch."""

    id: str
    model: str
    version: str
    status: Status
    input: str
    source: str
    created_at: int
    started_at: int | None
    completed_at: int | None
    error: str | None
    metrics: str
    webhook: str | None
    events: int
    data_removed: bool
    kind: Kind = "prediction"
    pool: str = ""
    deadline: int | None = None


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timestamp(us: int) -> str:
    """Give RFC 3339 with microseconds and Z, as Replicate writes it."""
    return f"{_second(us // 1_000_000)}.{us % 1_000_000:06d}Z"


def _time(us: int | None) -> bytes:
    return b"null" if us is None else b'"%s"' % timestamp(us).encode()


def output_of(chunks: Iterable[Chunk]) -> bytes:
    """Join output chunks (kind, data) into the `output` value.

    A `value` chunk is the value itself; `items` chunks are non-empty JSON arrays that are joined to one.
    """
    items: list[str] = []
    for kind, data in chunks:
        if kind == "value":
            return data.encode()
        if kind == "items":
            items.append(data[1:-1])
    return f"[{','.join(items)}]".encode() if items else b"null"


def logs_of(chunks: Iterable[Chunk]) -> str:
    """Join the `logs` chunks."""
    return "".join(data for kind, data in chunks if kind == "logs")


def render(facts: Facts, chunks: list[Chunk], links: Links) -> bytes:
    """Give the canonical JSON of a prediction.

    Args:
        facts: the prediction as it stood.
        chunks: its chunks (kind, data) in order, up to the moment that is shown.
        links: where `urls` point.
    """
    parts = [
        b'{"id":"%s","model":%s,"version":"%s","input":%s,"logs":%s,"output":%s'
        % (
            facts.id.encode(),
            _text(facts.model),
            facts.version.encode(),
            facts.input.encode(),
            _text(logs_of(chunks)),
            output_of(chunks),
        ),
        b',"data_removed":%s,"error":%s,"source":"%s","status":"%s"'
        % (
            b"true" if facts.data_removed else b"false",
            b"null" if facts.error is None else _text(facts.error),
            facts.source.encode(),
            facts.status.encode(),
        ),
        b',"created_at":%s,"started_at":%s,"completed_at":%s,"metrics":%s'
        % (
            _time(facts.created_at),
            _time(facts.started_at),
            _time(facts.completed_at),
            facts.metrics.encode(),
        ),
        _optional(facts),
        _webhook(facts),
        _urls(facts, links),
    ]
    return b"".join(parts)


def _optional(facts: Facts) -> bytes:
    deadline = b"" if facts.deadline is None else b',"deadline":%s' % _time(facts.deadline)
    _, is_deployed, deployment = facts.pool.partition("/")
    return deadline + (b',"deployment":%s' % _text(deployment) if is_deployed else b"")


def _urls(facts: Facts, links: Links) -> bytes:
    own = f"{links.base}/v1/{facts.kind}s/{facts.id}"
    text = b',"urls":{"cancel":%s,"get":%s,"web":%s' % (
        _text(f"{own}/cancel"),
        _text(own),
        _text(f"{links.base}/p/{facts.id}"),
    )
    if links.key and facts.kind == "prediction":
        return text + b',"stream":%s}}' % _text(links.stream(facts.id))
    return text + b"}}"


def _webhook(facts: Facts) -> bytes:
    if facts.webhook is None:
        return b""
    return b',"webhook":%s,"webhook_events_filter":%s' % (_text(facts.webhook), _text(unmask(facts.events)))
