"""What was asked for and what came: kept as it happens, checked as far as it can be at once."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ringback.words.ids import parse_delivery_id
from ringback.words.signature import VerificationError, verify

TERMINAL = ("succeeded", "failed", "canceled")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A prediction that was accepted.

    Attributes:
        events: those its webhook is to hear of.
        output: what it gives if it succeeds.
    """

    events: frozenset[str]
    output: str | list[str]


@dataclass(frozen=True, slots=True)
class Arrival:
    """The beginning of an attempt at a receiver, all of it that matters later."""

    id: str
    attempt: int
    timestamp: str
    signature: str
    body: bytes


@dataclass
class Event:
    """An id that came.

    Attributes:
        name: the event it said it was.
        body: its bytes.
        acknowledged: how often a receiver answered 2xx.
    """

    name: str
    body: bytes
    acknowledged: int = 0

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes, as the database has it."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass
class Ledger:
    """Everything the receivers saw, and what was wrong with it.

    Attributes:
        asked: what was accepted (201), by id.
        events: what came, by webhook-id.
        attempts: each (webhook-id, attempt) that came.
        forced: ids that somebody asked to be sent again: they may come after newer ones.
        secrets: all that have signed.
        received: requests.
        violations: what must never be.
    """

    asked: dict[str, Asked] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    attempts: set[tuple[str, int]] = field(default_factory=set)
    forced: set[str] = field(default_factory=set)
    secrets: dict[str, None] = field(default_factory=dict)
    received: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    _newest: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _lengths: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _ended: set[str] = field(default_factory=set)
    _unverified: list[Arrival] = field(default_factory=list)

    def wrong(self, what: str) -> None:
        """Note a violation."""
        self.violations[what] += 1

    def begun(self, id_: str) -> None:
        """An attempt has reached a receiver; before its body, for this is the order that counts."""
        self.received += 1
        try:
            prediction, number = parse_delivery_id(id_)
        except ValueError:
            self.wrong(f"{id_!r} is no webhook-id")
            return
        if number < self._newest[prediction] and id_ not in self.forced:
            self.wrong(f"backwards: {id_} began after number {self._newest[prediction]}")
        self._newest[prediction] = max(number, self._newest[prediction])

    def came(self, arrival: Arrival, name: str) -> None:
        """An attempt has come whole."""
        self.attempts.add((arrival.id, arrival.attempt))
        known = self.events.get(arrival.id)
        if known is None:
            self.events[arrival.id] = Event(name, arrival.body)
            self._grown(arrival)
        elif known.body != arrival.body or known.name != name:
            self.wrong(f"{arrival.id} came with two bodies or names")
        if not self._is_signed(arrival):
            self._unverified.append(arrival)

    def _grown(self, arrival: Arrival) -> None:
        """What a newer event shows is never less than what an older one has shown."""
        shown = json.loads(arrival.body)
        prediction = shown["id"]
        if not arrival.id.startswith(f"evt_{prediction}_"):
            self.wrong(f"{arrival.id} shows prediction {prediction}")
        if arrival.id in self.forced:
            return
        length = len(shown["output"] or "")
        if length < self._lengths[prediction]:
            self.wrong(f"{arrival.id} shows less output than was shown before")
        self._lengths[prediction] = max(length, self._lengths[prediction])
        if shown["status"] in TERMINAL:
            self._ended.add(prediction)
        elif prediction in self._ended:
            self.wrong(f"{arrival.id} says {shown['status']} after the end was told")

    def _is_signed(self, arrival: Arrival) -> bool:
        for secret in reversed(self.secrets):
            try:
                verify(
                    secret,
                    arrival.id,
                    arrival.timestamp,
                    arrival.body,
                    arrival.signature,
                    now=int(arrival.timestamp),
                )
            except VerificationError:
                continue
            return True
        return False

    def acknowledged(self, id_: str) -> None:
        """A receiver has answered 2xx."""
        self.events[id_].acknowledged += 1

    def settle_signatures(self) -> None:
        """Judge what was signed with a secret that was not known yet; all are by now."""
        for arrival in self._unverified:
            if not self._is_signed(arrival):
                self.wrong(f"{arrival.id} attempt {arrival.attempt} is signed with no secret there ever was")
        self._unverified.clear()

    def has_ended(self, prediction: str) -> bool:
        """Whether its end has been told."""
        return prediction in self._ended

    @property
    def duplicates(self) -> int:
        """Acknowledged requests beyond the first of each event."""
        return sum(max(0, event.acknowledged - 1) for event in self.events.values())

    def complaint(self) -> str:
        """Give the violations, the first twenty of them, one a line."""
        lines = [
            f"  {what}{f' ({times} times)' if times > 1 else ''}" for what, times in self.violations.items()
        ]
        more = len(lines) - _SHOWN
        return "\n".join(lines[:_SHOWN] + ([f"  … and {more} more"] if more > 0 else []))


def headers_of(headers: Mapping[str, Any]) -> tuple[str, int, str, str, str]:
    """Give a request's id, attempt, timestamp, signature and event."""
    return (
        headers["webhook-id"],
        int(headers["ringback-attempt"]),
        headers["webhook-timestamp"],
        headers["webhook-signature"],
        headers["ringback-event"],
    )
