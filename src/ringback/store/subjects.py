"""A prediction with its lane, as a change finds it: read in one statement, written by the change."""

from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from ringback.rules.endpoint import Target, endpoint_key
from ringback.rules.lane import Lane
from ringback.rules.prediction import Event, unmask
from ringback.rules.snapshot import Facts
from ringback.store.database import Row, Tx, queries

Q = queries("subjects")
_FACTS = len(Facts.__struct_fields__)
"""Columns that make the facts; they come first."""


@cache
def _event_set(bits: int) -> frozenset[Event]:
    return frozenset(unmask(bits))


class Hold(Struct, frozen=True):
    """The right to change a prediction: its holder and the number of the claim."""

    id: str
    holder: str
    run: int


class Subject(Struct, frozen=True):
    """A prediction in a transaction.

    Attributes:
        facts: what it is (now; a change gives a new one).
        account: whose it is.
        target: where its events go, or None.
        is_special: what is owed to that may have to wait: it is left free, for a claim to look at.
        sequence: its last chunk; 0 when there is none.
        lane: its lane, the pending deliveries not yet read.
        fence: the lane's fence; None when there is no lane yet.
    """

    facts: Facts
    account: str
    target: Target | None
    is_special: bool
    sequence: int
    lane: Lane
    fence: int | None

    @property
    def events(self) -> frozenset[Event]:
        """The events asked for."""
        return _event_set(self.facts.events)

    def now(self, facts: Facts) -> "Subject":
        """Give the subject after a change."""
        return replace(self, facts=facts)


def _subject(row: Row | None) -> Subject | None:
    if row is None:
        return None
    account, origin, endpoint, special, sequence, *lane_columns = row[_FACTS:]
    last_number, window_until, not_before, held, fence = lane_columns
    lane = Lane((), last_number or 0, window_until or 0, not_before or 0, bool(held))
    target = None if origin is None else Target(origin, endpoint_key(account, endpoint))
    return Subject(Facts(*row[:_FACTS]), account, target, bool(special), sequence or 0, lane, fence)


async def held(tx: Tx, hold: Hold) -> Subject | None:
    """Give a prediction to its holder; None when that no longer holds it."""
    return _subject(await tx.row(Q["held"], hold.id, hold.holder, hold.run, tx.now))


async def of_account(tx: Tx, account: str, id_: str) -> Subject | None:
    """Give a prediction to its owner."""
    return _subject(await tx.row(Q["of_account"], id_, account, tx.now))
