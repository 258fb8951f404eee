"""Names whose servers say nothing hold their share of the threads and no more."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ringback.net.names import Answers, Names, Ration

ANSWER: Answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]
AT_LAST = 5.0  # seconds after which something that should come at once would be stuck


class Servers:
    """Name servers: those of names with "hang" in them say nothing until they are let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()
        self.one = threading.Semaphore(0)
        self.now = 0.0
        self.takes = 0.0

    def __call__(self, host: str, *_: Any) -> Answers:
        self.asked.append(host)
        self.now += self.takes
        if "hang" in host and not self.let_go.is_set():
            self.one.acquire()
        return ANSWER

    def release_all(self) -> None:
        self.let_go.set()
        self.one.release(10_000)


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    made = Servers()
    yield made
    made.release_all()


async def turn() -> None:
    """Let everything that can go on without a thread's answer go on."""
    for _ in range(5):
        await asyncio.sleep(0)


def ask(names: Names, *hosts: str) -> tuple[list[asyncio.Task[Answers]], list[str]]:
    begun: list[str] = []

    def noting(host: str) -> Callable[[], None]:
        return lambda: begun.append(host)

    tasks = [asyncio.ensure_future(names.find(host, socket.AF_UNSPEC, noting(host))) for host in hosts]
    return tasks, begun


async def at_once(names: Names, host: str) -> Answers:
    async with asyncio.timeout(AT_LAST):
        return await names.find(host, socket.AF_UNSPEC)


async def finish(servers: Servers, names: Names, tasks: list[asyncio.Task[Answers]]) -> None:
    servers.release_all()
    async with asyncio.timeout(AT_LAST):
        await asyncio.gather(*tasks, return_exceptions=True)
    names.close()


async def test_a_domain_whose_names_hang_holds_its_share_and_others_are_looked_up_at_once(
    servers: Servers,
) -> None:
    names = Names(servers)
    tasks, begun = ask(names, *(f"hang{number}.evil.test" for number in range(300)))
    await turn()
    assert len(begun) == 16
    assert await at_once(names, "other.test") == ANSWER
    assert sum("hang" in host for host in servers.asked) == 16
    await finish(servers, names, tasks)


async def test_of_many_domains_that_hang_a_name_that_worked_before_takes_no_notice(servers: Servers) -> None:
    names = Names(servers)
    await at_once(names, "known.example")
    tasks, begun = ask(names, *(f"hang.evil{number}.test.evil{number}" for number in range(300)))
    await turn()
    assert len(begun) == 128
    assert await at_once(names, "known.example") == ANSWER
    await finish(servers, names, tasks)


async def test_a_name_that_is_not_known_yet_waits_for_its_turn(servers: Servers) -> None:
    names = Names(servers, Ration(in_all=4))
    hanging, _ = ask(names, "hang.a.a", "hang.b.b")
    (task,), begun = ask(names, "new.example")
    await turn()
    assert begun == []
    servers.one.release()
    async with asyncio.timeout(AT_LAST):
        assert await task == ANSWER
    assert begun == ["new.example"]
    assert sum(one.done() for one in hanging) == 1
    await finish(servers, names, hanging)


async def test_those_that_wait_are_looked_up_in_the_order_of_their_coming(servers: Servers) -> None:
    names = Names(servers, Ration(in_all=2))
    hosts = [f"hang.{letter}.test{letter}" for letter in "abcd"]
    tasks, begun = ask(names, *hosts)
    for count in range(1, 5):
        await turn()
        assert begun == hosts[:count]
        servers.one.release()
        async with asyncio.timeout(AT_LAST):
            await tasks[count - 1]
    names.close()


async def test_even_names_that_worked_before_are_bounded(servers: Servers) -> None:
    servers.let_go.set()
    names = Names(servers, Ration(in_all=4, of_a_domain=3))
    hosts = ["hang1.a.a", "hang2.a.a", "hang3.a.a", "hang4.a.a", "hang.b.b", "hang.c.c"]
    for host in hosts:
        await at_once(names, host)
    servers.let_go.clear()
    tasks, begun = ask(names, *hosts)
    await turn()
    assert begun == ["hang1.a.a", "hang2.a.a", "hang3.a.a", "hang.b.b"]
    await finish(servers, names, tasks)


async def test_a_name_that_was_slow_the_last_time_is_not_known_as_quick_any_more(servers: Servers) -> None:
    names = Names(servers, Ration(in_all=2), monotonic=lambda: servers.now)
    await at_once(names, "moody.test")
    servers.takes = 3.0  # seconds of the moved clock
    await at_once(names, "moody.test")
    servers.takes = 0.0
    hanging, _ = ask(names, "hang.a.a")
    waiting, begun = ask(names, "moody.test")
    await turn()
    assert begun == []
    await finish(servers, names, [*hanging, *waiting])


async def test_only_so_many_names_are_remembered(servers: Servers) -> None:
    names = Names(servers, Ration(in_all=2, remembered=2))
    for host in ("first.test", "second.test", "third.test"):
        await at_once(names, host)
    hanging, _ = ask(names, "hang.a.a")
    await turn()
    waiting, begun = ask(names, "first.test", "second.test")
    await turn()
    assert begun == ["second.test"]
    await finish(servers, names, [*hanging, *waiting])


async def test_what_nobody_waits_for_any_more_is_not_looked_up(servers: Servers) -> None:
    names = Names(servers, Ration(in_all=2))
    hanging, _ = ask(names, "hang.a.a")
    (one, other), _ = ask(names, "given-up.test", "given-up.test")
    await turn()
    one.cancel()
    await turn()
    assert len(names._waiting) == 1  # the other still waits
    other.cancel()
    await turn()
    assert (len(names._waiting), len(names._asked)) == (0, 1)
    await finish(servers, names, hanging)
    assert servers.asked == ["hang.a.a"]


async def test_nothing_is_kept_of_what_has_ended(servers: Servers) -> None:
    names = Names(servers)
    tasks, _ = ask(names, *(f"hang{number}.evil.test" for number in range(40)))
    await turn()
    servers.release_all()
    async with asyncio.timeout(AT_LAST):
        await asyncio.gather(*tasks)
    assert (names._asked, names._waiting, dict(names._threads)) == ({}, {}, {})


async def test_closing_ends_the_waiting_and_begins_nothing(servers: Servers) -> None:
    names = Names(servers, Ration(in_all=2))
    hanging, _ = ask(names, "hang.a.a")
    (waiting,), _ = ask(names, "waits.test")
    await turn()
    names.close()
    for late in (waiting, asyncio.ensure_future(names.find("late.test", socket.AF_UNSPEC))):
        with pytest.raises(socket.gaierror):
            await late
    await finish(servers, names, hanging)
    assert servers.asked == ["hang.a.a"]


async def test_an_error_reaches_all_who_wait() -> None:
    def lookup(*_: Any) -> Answers:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    names = Names(lookup)
    tasks, _ = ask(names, "broken.test", "broken.test")
    for task in tasks:
        with pytest.raises(socket.gaierror, match="Temporary failure"):
            await task
    names.close()


HANGING_AT_THE_END = """
import asyncio, threading
from ringback.net.names import Names

hangs = threading.Event()

async def main():
    begun = asyncio.Event()
    names = Names(lambda *_: hangs.wait())
    asking = asyncio.ensure_future(names.find("hang.test", 0, begun.set))
    await begun.wait()
    asking.cancel()
    names.close()

asyncio.run(main())
print("ended")
"""


def test_a_lookup_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGING_AT_THE_END], capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")
