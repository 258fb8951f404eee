"""How many attempts may begin, and how far the walk over all origins has come."""

from collections.abc import Mapping

from msgspec import Struct

from ringback.rules.endpoint import Target


class Round(Struct, frozen=True):
    """A walk over all origins that takes several claims.

    Attributes:
        start: the origin it began with; empty for a new one.
        wrapped: it has passed the last origin.
    """

    start: str = ""
    wrapped: bool = False


NEW_ROUND = Round()


class Rooms(Struct, frozen=True):
    """How many attempts a dispatcher may begin now.

    Attributes:
        total: in all.
        each: for an origin that is not in `used`.
        used: attempts in flight, by origin and by endpoint key.
        after: the origin to go on after, so that each gets its turn.
        round: the walk that is under way.
        kept: of `total`, what is kept for origins with nothing in flight, so that a few hanging ones can't
            take every slot. Of an origin's, a quarter is kept for endpoints in the same way.
        first: origins to look at before the walk: something of theirs is known to be due.
        walks: go on with the walk over all origins.
    """

    total: int
    each: int
    used: Mapping[str, int]
    after: str = ""
    round: Round = NEW_ROUND
    kept: int = 0
    first: tuple[str, ...] = ()
    walks: bool = True

    def of(self, origin: str) -> int:
        """Give the attempts that may begin for an origin."""
        return share(self.total, self.each, self.used.get(origin, 0), self.kept)

    def passes_on(self, old: Target, new: Target) -> bool:
        """Whether a slot of one endpoint may go to another of the same origin, or stay where it is."""
        if new.endpoint == old.endpoint:
            return True
        used = self.used.get(new.endpoint, 0)
        return of_endpoint(self.each, self.used.get(old.origin, 0) - 1, used) > 0

    def of_target(self, target: Target) -> int:
        """Give the attempts that may begin for an endpoint."""
        return min(
            self.of(target.origin),
            of_endpoint(self.each, self.used.get(target.origin, 0), self.used.get(target.endpoint, 0)),
        )


def share(left: int, each: int, used: int, kept: int) -> int:
    """Give what one with `used` may begin, of `left`, of which `kept` are for those with none."""
    return max(0, min(each - used, left, max(left - kept, 1 - used)))


def of_endpoint(each: int, of_origin: int, used: int) -> int:
    """Give an endpoint's part of what its origin has left: a quarter is kept for those with nothing."""
    return share(each - of_origin, each, used, each // 4)
