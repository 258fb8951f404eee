"""Who is asking: `Authorization: Bearer …` or `Token …`, the scheme in any case."""

import hmac
from collections.abc import Callable

from starlette.requests import HTTPConnection

from ringback.store import accounts
from ringback.store.database import Database
from ringback.words.errors import Unauthenticated
from ringback.words.ids import digest

_REMEMBERED_S = 5.0
_REMEMBERED = 10_000


class Authenticator:
    """Finds the account of a request's token.

    Tokens found valid are remembered for five seconds, by digest; the tokens table rebuilds that, and a
    revoked token is refused after that time at the latest.
    """

    def __init__(
        self, database: Database, monotonic: Callable[[], float], *, account: str, accepted: str | None
    ) -> None:
        """Take where tokens are.

        Args:
            database: where the tokens table is.
            monotonic: a clock that never steps, seconds.
            account: the account of `accepted`.
            accepted: a token that is always valid (REPLICATE_API_TOKEN of the server), if there is one.
        """
        self._database = database
        self._monotonic = monotonic
        self._account = account
        self._accepted = None if accepted is None else digest(accepted)
        self._known: dict[str, tuple[str, float]] = {}

    async def account(self, request: HTTPConnection) -> str:
        """Give the id of the account that asks.

        Raises:
            Unauthenticated: no token, or not a valid one.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() not in ("bearer", "token") or not token:
            raise _refused()
        key = digest(token)
        if self._accepted is not None and hmac.compare_digest(key, self._accepted):
            return self._account
        now = self._monotonic()
        account, until = self._known.get(key, ("", 0.0))
        if until > now:
            return account
        found = await self._database.read(lambda tx: accounts.of_token(tx, key))
        if found is None:
            self._known.pop(key, None)
            raise _refused()
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = (found, now + _REMEMBERED_S)
        return found


def _refused() -> Unauthenticated:
    return Unauthenticated("You did not pass a valid authentication token")
