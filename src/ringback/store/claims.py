"""Claiming lanes: fair between origins, within each one's room, past whatever is special.

Origins take turns. Within one, the lanes that are due go oldest first; a lane whose endpoint is closed, held,
paused or recovering is put on that endpoint's shelf, so that it stands in nobody's way, and shelves are
looked at when their row says so (store/endpoints.py). An endpoint that has all it may have in flight is
passed over: its own attempts go on with what it owes as they end.
"""

from collections import Counter
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from ringback.rules import endpoint as rules
from ringback.rules.endpoint import Health, Target
from ringback.rules.retry import SECOND
from ringback.rules.snapshot import Links
from ringback.store import endpoints
from ringback.store.attempts import Lease, Work, begin
from ringback.store.database import Row, Tx, queries
from ringback.store.endpoints import Endpoint
from ringback.store.rooms import NEW_ROUND, Rooms, Round, of_endpoint, share

Q = queries("claims")

_ORIGINS = 64
"""Origins looked at in one claim at most, so that thousands of waiting ones don't hold up a commit."""

_WINDOW = 64
"""Lanes of an origin looked at in one step."""

_ROWS = 1024
"""Lanes looked at in one claim, about: it holds up everybody else's changes meanwhile."""

_STEPS = 4

_NAMES = 1024
"""Endpoints of an origin looked at behind those that have all they may have, due or not."""

_NET = SECOND
"""Microseconds until a shelf that had no room is looked at again if nobody calls."""

_WHILE_PAUSED = 3600 * SECOND


def _turn(health: Health) -> str:
    """Say whose turn the next probe is, where an origin is closed because of its endpoints.

    Whoever is well behind it is found soonest by what they have just sent; but the oldest that waits, and
    what stands on a shelf, must have their turns too.
    """
    if not (health.is_closed and health.scattered):
        return "any"
    return ("newest", "oldest", "shelf")[health.failures % 3]


class Claimed(Struct, frozen=True):
    """What a claim gave.

    Attributes:
        works: the attempts to make.
        after: where the next claim goes on.
        full: some origin had no room for all that may be due: claim again when there is room.
        round: the walk, if it is not over.
        later: origins that were looked at, each with the time (microseconds) at which it is to be looked at
            again, if that is a matter of time.
        crowded: origins with more due than they may have in flight.
        shelf_due: when a shelf is to be looked at next, microseconds, or None.
    """

    works: tuple[Work, ...]
    after: str
    full: bool
    round: Round = NEW_ROUND
    later: tuple[tuple[str, int], ...] = ()
    crowded: frozenset[str] = frozenset()
    shelf_due: int | None = None


async def claim(tx: Tx, holder: str, rooms: Rooms, links: Links) -> Claimed:
    """Claim due lanes: from shelves that are to be looked at, then origin by origin."""
    taking = _Taking(tx, holder, rooms, links, special=await endpoints.any_special(tx))
    if taking.special:
        await taking.shelves()
    for origin in rooms.first:
        await taking.look_at(origin)
    after, walk, is_over = await _walk(taking) if rooms.walks else (rooms.after, rooms.round, True)
    shelf_due = await endpoints.next_due(tx) if await endpoints.any_special(tx) else None
    return Claimed(
        tuple(taking.works),
        after,
        taking.full or bool(taking.crowded),
        NEW_ROUND if is_over else walk,
        tuple(taking.later.items()),
        frozenset(taking.crowded),
        shelf_due,
    )


async def _walk(taking: "_Taking") -> tuple[str, Round, bool]:
    origin, walk = taking.rooms.after, taking.rooms.round
    for _ in range(_ORIGINS):
        if taking.left <= 0:
            taking.full = True
            break
        if taking.seen >= _ROWS and walk.start:  # one that has not begun would be taken for over
            break
        following = await _next_origin(taking.tx, origin)
        turned = bool(walk.start) and following <= origin
        wrapped = walk.wrapped or turned
        # A second turn: the origin that it began with has nothing free any more.
        if not following or (wrapped and following >= walk.start) or (walk.wrapped and turned):
            return origin, walk, True
        origin = following
        await taking.look_at(origin)
        walk = Round(walk.start or origin, wrapped)
    return origin, walk, False


async def _next_origin(tx: Tx, after: str) -> str:
    row = (await tx.row(Q["next_origin"], after) if after else None) or await tx.row(Q["first_origin"])
    return "" if row is None else str(row[0])


class _Seen(Struct, frozen=True):
    """What came of some lanes of an origin.

    Attributes:
        room: what is left of it.
        shelved: some were put on a shelf.
        crowds: endpoints that have all they may have in flight; what they owe stays where it is.
    """

    room: int
    shelved: bool
    crowds: frozenset[str]


@dataclass(slots=True)
class _Taking:
    """One claim under way."""

    tx: Tx
    holder: str
    rooms: Rooms
    links: Links
    special: bool
    works: list[Work] = field(default_factory=list)
    begun: Counter[str] = field(default_factory=Counter)
    full: bool = False
    later: dict[str, int] = field(default_factory=dict)
    crowded: set[str] = field(default_factory=set)
    put_off: set[str] = field(default_factory=set)
    seen: int = 0

    @property
    def left(self) -> int:
        return self.rooms.total - len(self.works)

    def used(self, key: str) -> int:
        return self.rooms.used.get(key, 0) + self.begun[key]

    def room(self, origin: Endpoint) -> int:
        """Give the attempts that may begin now at an origin."""
        rooms, used = self.rooms, self.used(origin.key)
        allowed = rules.room(origin.health, self.tx.now, rooms.each)
        return share(self.left, allowed, used, rooms.kept)

    def room_of(self, endpoint: Endpoint) -> int:
        """Give an endpoint's part of its origin's room, by its own health and by fairness."""
        used = self.used(endpoint.key)
        allowed = rules.room(endpoint.health, self.tx.now, self.rooms.each)
        return min(allowed - used, of_endpoint(self.rooms.each, self.used(endpoint.origin), used))

    async def take(self, id_: str, target: Target) -> None:
        """Claim one lane and begin its head's attempt."""
        row = await self.tx.row(Q["take"], id_, self.holder)
        if row is not None:
            self.begun[target.origin] += 1
            self.begun[target.endpoint] += 1
            self.works.append(await begin(self.tx, Lease(id_, self.holder, int(row[0])), self.links))

    async def look_at(self, origin: str) -> None:
        """Take what an origin has room for; note when to look at it again, if that is a matter of time."""
        due: int | None = self.tx.now
        if self.left <= 0:
            self.full = True
        elif self.seen < _ROWS:
            due = await self.origin(origin)
        if due is not None:
            self.later[origin] = due

    async def origin(self, name: str) -> int | None:
        """Take what an origin has room for; give when its next lane is due, if that is later."""
        origin = await endpoints.of_origin(self.tx, name) if self.special else Endpoint(name, "", name, name)
        room = self.room(origin)
        if room <= 0:
            if not rules.room(origin.health, self.tx.now, self.rooms.each):
                return rules.opens_at(origin.health)
            self._crowd(name)
            return None
        for _ in range(_STEPS):
            rows = await self._waiting(origin, max(room, _WINDOW))
            seen = await self._from(rows, origin, room)
            room = seen.room
            if room <= 0 or not seen.shelved:
                break
        if seen.crowds and room > 0:
            room = await self._past(seen.crowds, origin, room)
        if room <= 0 or seen.crowds:
            self._crowd(name)
        if room <= 0:
            return None
        if seen.shelved:
            return self.tx.now
        row = await self.tx.row(Q["earliest"], name, self.tx.now if seen.crowds else -1)
        return None if row is None else int(row[0])

    def _crowd(self, origin: str) -> None:
        """Take note that an origin has more due than it may have in flight, or than there are slots for."""
        self.crowded.add(origin)
        self.full = self.full or self.left <= self.rooms.kept

    async def _past(self, crowds: frozenset[str], origin: Endpoint, room: int) -> int:
        """Look for other endpoints behind those that have all they may have; give the room that is left."""
        # As many as are in flight may have nothing more to get, before one that has.
        for key in await self._endpoints(origin.key, max(crowds), self.used(origin.key) + room):
            if room > 0 and key not in crowds:
                rows = await self.tx.rows(Q["due_of"], origin.key, key, self.tx.now, room)
                room = (await self._from(rows, origin, room)).room
        return room

    async def _endpoints(self, origin: str, start: str, limit: int) -> list[str]:
        """Give endpoints of an origin that something is due at, those after `start` first."""
        now = self.tx.now
        found = await self.tx.rows(Q["due_endpoints"], origin, start, now, _NAMES, limit)
        if len(found) < limit:
            found += await self.tx.rows(Q["due_endpoints"], origin, "", now, _NAMES, limit - len(found))
        return [str(row[0]) for row in found]

    async def _waiting(self, origin: Endpoint, limit: int) -> list[Row]:
        """Give an origin's lanes that may go: those that are due; of one that is closed or was, all."""
        tx, health = self.tx, origin.health
        if _turn(health) == "newest":
            rows = await tx.rows(Q["newest"], origin.key, tx.now, limit)
        else:
            rows = await tx.rows(Q["due"], origin.key, tx.now, limit)
        before = tx.now if health.is_closed else health.recovered_at
        if before and len(rows) < limit:
            more = await tx.rows(Q["failed"], origin.key, before, tx.now, limit - len(rows))
            rows += more
            if not (rows or health.is_closed or await endpoints.waits(tx, origin, health)):
                await endpoints.save(tx, replace(origin, health=replace(health, recovered_at=0)))
        return rows

    async def _from(self, rows: list[Row], origin: Endpoint, room: int) -> "_Seen":
        """Take lanes within the origin's and their endpoints' room, shelve those that can't go now."""
        self.seen += len(rows)
        shelved: dict[str, Endpoint] = {}
        crowds: set[str] = set()
        for id_, key in rows:
            if room <= 0:
                break
            if key in crowds:
                continue
            endpoint = shelved.get(key) or await self._endpoint(Target(origin.key, key))
            if key not in shelved and self._is_open(endpoint):
                if self.room_of(endpoint) <= 0:
                    crowds.add(key)
                    continue
                await self._probe(origin)
                await self.take(id_, Target(origin.key, key))
                room -= 1
            else:
                # One that failed before the origin opened may go now: on the shelf, too, it is due.
                await self.tx.run(Q["shelve"], id_, self.tx.now)
                shelved[key] = endpoint
        for endpoint in shelved.values():
            await endpoints.shelve(self.tx, endpoint, self._looked_at(endpoint))
            self.special = True
        return _Seen(room, bool(shelved), frozenset(crowds))

    def _is_open(self, endpoint: Endpoint) -> bool:
        """Whether a lane may go past the shelf: all is well, and nothing there is due."""
        is_special = rules.is_special(endpoint.health, self.tx.now)
        return not is_special and (endpoint.serve_at is None or endpoint.serve_at > self.tx.now)

    async def _endpoint(self, target: Target) -> Endpoint:
        found = await endpoints.get(self.tx, target.endpoint) if self.special else None
        return found or endpoints.blank(target)

    def _looked_at(self, endpoint: Endpoint) -> int:
        """Say when to look at a shelf: at once if there is room, else once its endpoint opens."""
        if self.room_of(endpoint) > 0:
            return self.tx.now
        return self._looked_at_again(endpoint)

    async def _probe(self, endpoint: Endpoint) -> None:
        if endpoint.health.is_closed:
            await endpoints.save(self.tx, replace(endpoint, health=rules.probing(endpoint.health)))

    async def shelves(self) -> None:
        """Take what stands on shelves that are to be looked at."""
        for endpoint in await endpoints.due(self.tx):
            if self.left <= 0:
                self.full = True
                return
            if endpoint.origin not in self.put_off:
                await self._shelf(endpoint)

    async def _put_off(self, origin: str, until: int) -> None:
        self.put_off.add(origin)
        await endpoints.put_off(self.tx, origin, until)

    async def _shelf(self, endpoint: Endpoint) -> None:
        tx = self.tx
        origin = await endpoints.of_origin(tx, endpoint.origin)
        if not rules.room(origin.health, tx.now, self.rooms.each):
            await self._put_off(origin.key, rules.opens_at(origin.health) or tx.now + _NET)
            return
        if _turn(origin.health) in {"newest", "oldest"} and await tx.rows(Q["due"], origin.key, tx.now, 1):
            await self._put_off(origin.key, tx.now + _NET)
            return
        if self.room(origin) <= 0:  # what is in flight there goes on with its shelves as it ends
            self._crowd(origin.key)
            await self._put_off(origin.key, tx.now + _NET)
            return
        room = min(self.room(origin), self.room_of(endpoint))
        rows = await self._standing(endpoint, origin, room) if room > 0 else []
        if rows:
            await self._probe(origin)
            endpoint = replace(endpoint, health=rules.probing(endpoint.health))
        for (id_,) in rows:
            await self.take(id_, Target(endpoint.origin, endpoint.key))
        if room > len(rows) or await tx.row(Q["shelf_earliest"], endpoint.key) is None:
            await self._swept(endpoint)
            return
        if rules.room(endpoint.health, tx.now, self.rooms.each):
            self._crowd(endpoint.origin)
        await endpoints.save(tx, replace(endpoint, serve_at=self._looked_at_again(endpoint)))

    def _looked_at_again(self, endpoint: Endpoint) -> int:
        """Say when to look at a shelf that still holds something, if nobody calls before."""
        now, opens = self.tx.now, rules.opens_at(endpoint.health)
        if endpoint.health.paused_at is not None:
            return now + _WHILE_PAUSED
        return max(now + _NET, opens or 0)

    async def _standing(self, endpoint: Endpoint, origin: Endpoint, room: int) -> list[Row]:
        tx, health = self.tx, endpoint.health
        rows = await tx.rows(Q["shelf_due"], endpoint.key, tx.now, room)
        before = tx.now if health.is_closed else max(health.recovered_at, origin.health.recovered_at)
        if before and len(rows) < room:
            rows += await tx.rows(Q["shelf_failed"], endpoint.key, before, tx.now, room - len(rows))
        return rows

    async def _swept(self, endpoint: Endpoint) -> None:
        """Take note that all that may go from a shelf has gone."""
        row = await self.tx.row(Q["shelf_earliest"], endpoint.key)
        health = endpoint.health if endpoint.health.is_closed else replace(endpoint.health, recovered_at=0)
        serve_at = None if row is None else max(int(row[0]), rules.opens_at(health) or 0)
        await endpoints.save(self.tx, replace(endpoint, health=health, serve_at=serve_at))
