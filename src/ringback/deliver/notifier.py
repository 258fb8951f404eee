"""Tells the operator, by a webhook of their own, of endpoints that close and open and of deliveries that die.

Standard Webhooks 1.0.0 asks for another channel where an endpoint fails for long. The form is that
specification's: `{"type", "timestamp", "data"}`, signed like any webhook, the same id on each attempt.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from ringback.deliver.dispatcher import Sender
from ringback.deliver.signing import signed
from ringback.rules.retry import SECOND, Schedule, next_due
from ringback.rules.url import origin_of
from ringback.store import notices
from ringback.store.database import Database
from ringback.store.notices import Notice
from ringback.words.errors import Unavailable
from ringback.words.json import canonical, decode
from ringback.words.signature import Signer

log = logging.getLogger(__name__)

_AT_ONCE = 8
_LEASE_US = 60 * SECOND
"""After a crash in the middle of sending, a notice is due again this much later, microseconds."""

_POLL_S = 30.0


class Notifier:
    """Sends notices, one after the other."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        url: str,
        *,
        secrets: Callable[[], Awaitable[Sequence[str]]],
        clock: Callable[[], int],
        wall: Callable[[], int],
        schedule: Schedule,
        keys: Callable[[], Sequence[Signer]] = tuple,
    ) -> None:
        """Take what it works with.

        Args:
            database: where notices are.
            sender: what makes an attempt.
            url: the operator's webhook.
            secrets: gives the secrets that sign.
            clock: the time that notices wait by, microseconds.
            wall: the wall clock, microseconds, for webhook-timestamp.
            schedule: when to try again, and for how long.
            keys: gives the private keys that sign beside the secrets, if v1a is asked for.
        """
        self._database = database
        self._sender = sender
        self._url = url
        self._secrets = secrets
        self._clock = clock
        self._wall = wall
        self._schedule = schedule
        self._keys = keys
        self._called = asyncio.Event()

    def wake(self) -> None:
        """There is a new notice."""
        self._called.set()

    async def run(self) -> None:
        """Send what is due until cancelled."""
        while True:
            self._called.clear()
            try:
                wait = await self.run_once()
            except Unavailable:
                wait = _POLL_S
            except Exception:
                log.exception("telling the operator failed; trying again in %.0f s", _POLL_S)
                wait = _POLL_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._called.wait(), wait)

    async def run_once(self) -> float:
        """Send what is due now; give the seconds until more is."""
        for notice in await self._database.write(lambda tx: notices.take(tx, _AT_ONCE, _LEASE_US)):
            await self._send(notice)
        due = await self._database.read(notices.next_due)
        return _POLL_S if due is None else min(_POLL_S, max(0.0, (due - self._clock()) / SECOND))

    async def _send(self, notice: Notice) -> None:
        body, secrets = _body(notice), await self._secrets()
        headers = signed(notice.id, body, self._wall(), secrets, self._keys())
        result = await self._sender.post(self._url, headers, body)
        if result.cause == "acknowledged":
            await self._database.write(lambda tx: notices.remove(tx, notice.id))
            return
        due = next_due(
            self._schedule,
            attempts=notice.attempts,
            event_at=notice.created_at,
            now=self._clock(),
            jitter=0.0,
            retry_after=result.retry_after,
        )
        log.warning(
            "operator webhook (%s) attempt %d to %s: %s%s",
            notice.type,
            notice.attempts,
            origin_of(self._url),
            result.diagnosis,
            "; given up" if due is None else "",
        )
        if due is None:
            await self._database.write(lambda tx: notices.remove(tx, notice.id))
        else:
            await self._database.write(lambda tx: notices.postpone(tx, notice.id, due))


def _body(notice: Notice) -> bytes:
    at = datetime.fromtimestamp(notice.created_at / SECOND, UTC).isoformat(timespec="milliseconds")
    data = decode(notice.data.encode())
    if notice.type == "deliveries.dead":
        data["count"] = notice.count
    return canonical({"type": notice.type, "timestamp": at.replace("+00:00", "Z"), "data": data})
