"""How often each token may ask, and how often strangers may try.

Buckets are in memory only: after a restart they are full.
"""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection
from starlette.types import Scope

from ringback.rules.rate import Rate, Taken, per_minute, take
from ringback.words.errors import TooMany

_SECOND = 1_000_000
_MOST = 10_000
"""Buckets at a time: who asked longest ago is forgotten, which gives a full bucket back."""

_STRANGERS = Rate(limit=100, gap=_SECOND // 20)
"""Unknown tokens of one address: each costs a look into the database."""

_SCOPE = "ringback.limits"
_CREATES = ("/predictions", "/trainings")


class Buckets:
    """The buckets of one rate, by key."""

    def __init__(self, rate: Rate) -> None:
        """Take how quickly they fill up."""
        self._rate = rate
        self._full_at: OrderedDict[str, int] = OrderedDict()

    @property
    def limit(self) -> int:
        """Requests that a full bucket holds."""
        return self._rate.limit

    def take(self, key: str, now: int) -> Taken:
        """Ask for one of a key's; `now` in microseconds."""
        taken = take(self._rate, self._full_at.get(key, 0), now)
        self._full_at[key] = taken.full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > _MOST:
            self._full_at.popitem(last=False)
        return taken


class Limits:
    """The limits of a server."""

    def __init__(
        self, monotonic: Callable[[], float], *, creates_per_min: int = 0, requests_per_min: int = 0
    ) -> None:
        """Take the limits of each token; 0 is none.

        Args:
            monotonic: a clock that never steps, seconds.
            creates_per_min: predictions and trainings made.
            requests_per_min: all other requests.
        """
        self._monotonic = monotonic
        self._creates = Buckets(per_minute(creates_per_min)) if creates_per_min else None
        self._requests = Buckets(per_minute(requests_per_min)) if requests_per_min else None
        self._strangers = Buckets(_STRANGERS)

    def count(self, request: HTTPConnection, token: str) -> None:
        """Count a request of a token, given by its digest; what there is to say of it is kept in its scope.

        Raises:
            TooMany: it is over its limit.
        """
        scope = request.scope
        is_create = scope["method"] == "POST" and scope["path"].endswith(_CREATES)
        buckets = self._creates if is_create else self._requests
        if buckets is None:
            return
        taken = buckets.take(token, self._now())
        scope[_SCOPE] = {
            "ratelimit-limit": str(buckets.limit),
            "ratelimit-remaining": str(taken.remaining),
            "ratelimit-reset": str(_seconds(taken.reset)),
        }
        _raise_if_over(taken)

    def stranger(self, address: str) -> None:
        """Count an unknown token that came from an address.

        Raises:
            TooMany: there were too many of them lately: 100 at once, 20 a second.
        """
        _raise_if_over(self._strangers.take(_neighbourhood(address), self._now()))

    def _now(self) -> int:
        return int(self._monotonic() * _SECOND)


def headers(scope: Scope) -> dict[str, str]:
    """Give the headers that tell whoever made a request how many more there may be, if that is limited."""
    found: dict[str, str] = scope.get(_SCOPE, {})
    return found


def _raise_if_over(taken: Taken) -> None:
    if taken.wait:
        seconds = _seconds(taken.wait)
        raise TooMany(f"Request was throttled. Your rate limit resets in ~{seconds}s.", seconds)


def _seconds(us: int) -> int:
    return -(-us // _SECOND)


def _neighbourhood(address: str) -> str:
    """Give an address, or the /64 that its owner can choose addresses from."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else address
