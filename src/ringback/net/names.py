"""Looking names up, so that name servers that hang keep nobody else waiting.

The system's resolver can't be interrupted: a name whose server says nothing holds a thread for as long as the
system goes on asking, often 10 s and more. Whoever may give a webhook's URL can give as many such names as he
likes. So threads are rationed:

1. A name has one thread, however many ask for it meanwhile.
2. There are 256 threads in all, and 32 of them for the names of one domain (its last two labels).
3. The last half of either is kept for names that were answered quickly the last time.

What finds no thread waits for its turn. So one hostile domain holds 16 threads, any number of hostile domains
hold 128, and a name that worked before is looked up at once in spite of them.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Lookup = Callable[..., list[tuple[Any, ...]]]
Answers = list[tuple[Any, ...]]

_QUICK_S = 2.0


@dataclass(frozen=True, slots=True)
class Ration:
    """How many lookups may be under way.

    Attributes:
        in_all: threads at most.
        of_a_domain: threads at most for names with the same last two labels.
        remembered: names at most, of 253 bytes at most, that are known to be answered quickly.
    """

    in_all: int = 256
    of_a_domain: int = 32
    remembered: int = 4096


class _Asked:
    """A lookup that somebody waits for, or that nobody could stop."""

    __slots__ = ("answers", "begun", "domain", "family", "host", "waiters")

    def __init__(self, host: str, family: int) -> None:
        self.host = host
        self.domain = ".".join(host.lower().rstrip(".").split(".")[-2:])
        self.family = family
        self.waiters = 0
        self.begun = asyncio.Event()
        self.answers: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()

    def fail(self, error: Exception) -> None:
        self.answers.set_exception(error)
        self.answers.exception()  # all who waited may have given up; asyncio would report it as never seen
        self.begun.set()


class Names:
    """The lookups under way, in threads that don't hold up the end of the process.

    Args:
        lookup: asks the system, with getaddrinfo's parameters and results.
        ration: how many at a time.
        monotonic: seconds; tells quick answers from slow ones.
    """

    def __init__(
        self,
        lookup: Lookup = socket.getaddrinfo,
        ration: Ration = Ration(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._ration = ration
        self._monotonic = monotonic
        self._asked: dict[tuple[str, int], _Asked] = {}  # waiting ones and those in a thread
        self._waiting: dict[tuple[str, int], _Asked] = {}  # in the order of their coming
        self._threads: Counter[str] = Counter()  # by domain
        self._quick: OrderedDict[str, None] = OrderedDict()  # the names rule 3 is for, latest last
        self._closed = False

    async def find(self, host: str, family: int, begin: Callable[[], None] = lambda: None) -> Answers:
        """Look `host` up, in turn.

        Args:
            host: a name.
            family: AF_INET, AF_INET6 or AF_UNSPEC.
            begin: called when the waiting is over and the name is being looked up.

        Raises:
            socket.gaierror: it has no addresses, or they can't be found out.
        """
        key = (host, family)
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = self._waiting[key] = _Asked(host, family)
            self._go_on()
        asked.waiters += 1
        try:
            await asked.begun.wait()
            begin()
            return await asyncio.shield(asked.answers)
        finally:
            asked.waiters -= 1
            if not asked.waiters and self._waiting.get(key) is asked:
                del self._waiting[key], self._asked[key]

    def close(self) -> None:
        """Begin no more lookups; those that wait fail. Those in a thread end by themselves, unheard."""
        self._closed = True
        self._go_on()

    def _go_on(self) -> None:
        """Begin whatever may begin, the longest waiting first."""
        for key, asked in list(self._waiting.items()):
            if self._closed:
                self._drop(key, asked, socket.gaierror(socket.EAI_AGAIN, "no more names are looked up"))
            elif self._may_begin(asked):
                self._begin(key, asked)

    def _may_begin(self, asked: _Asked) -> bool:
        share = 1 if asked.host in self._quick else 2
        return (
            self._threads.total() < self._ration.in_all // share
            and self._threads[asked.domain] < self._ration.of_a_domain // share
        )

    def _begin(self, key: tuple[str, int], asked: _Asked) -> None:
        # daemons: an executor's threads are waited for when the process ends, for as long as they hang
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._ask, args=(loop, key, asked), name="resolver", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the machine has no thread to give
            self._drop(key, asked, OSError(str(error)))
            return
        del self._waiting[key]
        self._threads[asked.domain] += 1
        asked.begun.set()

    def _drop(self, key: tuple[str, int], asked: _Asked, error: Exception) -> None:
        del self._waiting[key], self._asked[key]
        asked.fail(error)

    def _ask(self, loop: asyncio.AbstractEventLoop, key: tuple[str, int], asked: _Asked) -> None:
        """Run in the lookup's thread."""
        started = self._monotonic()
        outcome: Answers | Exception
        try:
            outcome = self._lookup(
                asked.host, None, asked.family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
            )
        except UnicodeError:  # the host's text has no form in the DNS
            outcome = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        except Exception as error:  # whatever it is, whoever waits gets it
            outcome = error
        took = self._monotonic() - started
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(self._end, key, asked, outcome, took)

    def _end(self, key: tuple[str, int], asked: _Asked, outcome: Answers | Exception, took: float) -> None:
        del self._asked[key]
        self._threads[asked.domain] -= 1
        if not self._threads[asked.domain]:
            del self._threads[asked.domain]
        self._remember(asked.host, is_quick=took < _QUICK_S)
        if isinstance(outcome, Exception):
            asked.fail(outcome)
        else:
            asked.answers.set_result(outcome)
        self._go_on()

    def _remember(self, host: str, *, is_quick: bool) -> None:
        self._quick.pop(host, None)
        if is_quick:
            self._quick[host] = None
        if len(self._quick) > self._ration.remembered:
            self._quick.popitem(last=False)
