"""Who is asking: `Authorization: Bearer …` or `Token …`, the scheme in any case."""

import hmac
from collections.abc import Callable

from starlette.requests import HTTPConnection

from ringback.api.limits import Limits
from ringback.store import accounts
from ringback.store.database import Database
from ringback.words.errors import NotFound, Unauthenticated
from ringback.words.ids import digest

_REMEMBERED_S = 5.0
_REMEMBERED = 10_000


class Authenticator:
    """Finds the account of a request's token, and counts the request.

    Tokens found valid are remembered for five seconds, by digest; the tokens table rebuilds that, and a
    revoked token is refused after that time at the latest.
    """

    def __init__(
        self,
        database: Database,
        monotonic: Callable[[], float],
        *,
        account: str,
        accepted: str | None,
        limits: Limits,
        client: Callable[[HTTPConnection], str],
    ) -> None:
        """Take where tokens are.

        Args:
            database: where the tokens table is.
            monotonic: a clock that never steps, seconds.
            account: the account of `accepted`, which is the operator's.
            accepted: a token that is always valid (REPLICATE_API_TOKEN of the server), if there is one.
            limits: how often each may ask.
            client: gives the address that a request comes from.
        """
        self._database = database
        self._monotonic = monotonic
        self._account = account
        self._accepted = None if accepted is None else digest(accepted)
        self._limits = limits
        self._client = client
        self._known: dict[str, tuple[str, float]] = {}

    async def account(self, request: HTTPConnection) -> str:
        """Give the id of the account that asks.

        Raises:
            Unauthenticated: no token, or not a valid one.
            TooMany: the token, or the address that tries unknown ones, is over its limit.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() not in ("bearer", "token") or not token:
            raise _refused()
        key = digest(token)
        account = await self._of(request, key)
        self._limits.count(request, key)
        return account

    async def operator(self, request: HTTPConnection) -> None:
        """Let only the operator's account pass, which is the server's first: for what concerns all accounts.

        Raises:
            NotFound: another one asks.
            Unauthenticated: as `account`.
            TooMany: as `account`.
        """
        if await self.account(request) != self._account:
            raise NotFound("The requested resource could not be found.")

    def forget(self, key: str) -> None:
        """Ask the store again for the token with this digest: it is revoked."""
        self._known.pop(key, None)

    async def _of(self, request: HTTPConnection, key: str) -> str:
        if self._accepted is not None and hmac.compare_digest(key, self._accepted):
            return self._account
        now = self._monotonic()
        account, until = self._known.get(key, ("", 0.0))
        if until > now:
            return account
        found = await self._database.read(lambda tx: accounts.of_token(tx, key))
        if found is None:
            if self._known.pop(key, None) is None:
                # Only who is refused is counted: guesses from an address don't shut out who shares it.
                self._limits.stranger(self._client(request))
            raise _refused()
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = (found, now + _REMEMBERED_S)
        return found


def _refused() -> Unauthenticated:
    return Unauthenticated("You did not pass a valid authentication token")
