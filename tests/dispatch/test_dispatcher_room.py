"""Room that comes free while a claim is under way is used at once, not at the next poll."""

from collections.abc import Callable
from typing import Any

from ringback.deliver.dispatcher import Dispatcher, DispatchSettings
from ringback.rules.endpoint import Target
from ringback.rules.snapshot import Links
from ringback.store.claims import Claimed
from ringback.store.lanes import NOTHING, Owed
from ringback.store.rooms import NEW_ROUND, Round

FULL = Claimed((), "", full=True)
"""There was no room for all."""

HALFWAY = Claimed((), "http://m:80", full=False, round=Round("http://a:80"))


class Store:
    """Answers a claim with this after `meanwhile` has happened."""

    def __init__(self, meanwhile: Callable[[], None], claimed: Claimed) -> None:
        self._meanwhile = meanwhile
        self._claimed = claimed

    async def write(self, _unit: Any) -> Claimed:
        self._meanwhile()
        return self._claimed


async def waits(meanwhile: Callable[[Dispatcher], Callable[[], None]]) -> float:
    def happens() -> None:
        meanwhile(dispatcher)()

    dispatcher = dispatching(happens)
    reservation = dispatcher.reserve(at("a"))
    assert reservation is not None
    reservations.append(reservation)
    return await dispatcher.run_once()


def dispatching(meanwhile: Callable[[], None], claimed: Claimed = FULL) -> Dispatcher:
    return Dispatcher(
        Store(meanwhile, claimed),  # type: ignore[arg-type] # only `write` is used
        None,  # type: ignore[arg-type] # nothing is sent
        DispatchSettings(Links("http://x"), in_flight=4, in_flight_per_origin=1),
        holder="d",
        clock=lambda: 0,
        jitter=lambda: 0.0,
    )


def at(host: str) -> Target:
    return Target(f"http://{host}:80", f"acct_1 http://{host}/")


reservations: list[Any] = []


async def test_room_that_comes_free_during_a_claim_is_used_at_once() -> None:
    assert await waits(lambda _dispatcher: lambda: reservations[-1].use(NOTHING)) == 0.0


async def test_without_it_the_claim_waits_to_be_called() -> None:
    assert await waits(lambda _dispatcher: lambda: None) > 0.0


async def test_origins_that_found_no_slot_are_not_remembered_once_all_are_looked_at_again() -> None:
    dispatcher = dispatching(lambda: None)
    taken = [dispatcher.reserve(at(host)) for host in "abcd"]
    for number in range(1000):
        dispatcher.expect(Owed(due=0), at(f"host-{number}"))
    assert len(dispatcher._crowded) == 1000
    assert taken[0] is not None
    taken[0].use(NOTHING)
    assert dispatcher._crowded == set()


async def test_a_call_during_the_first_step_of_a_walk_begins_it_anew_behind_that_step() -> None:
    def somebody_calls() -> None:
        dispatcher.wake()

    dispatcher = dispatching(somebody_calls, HALFWAY)
    await dispatcher.run_once()
    assert (dispatcher._round, dispatcher._after) == (NEW_ROUND, HALFWAY.after)


async def test_without_a_call_a_walk_goes_on_where_it_was() -> None:
    dispatcher = dispatching(lambda: None, HALFWAY)
    await dispatcher.run_once()
    assert (dispatcher._round, dispatcher._after) == (HALFWAY.round, HALFWAY.after)


async def test_a_walk_that_goes_on_does_not_put_off_what_falls_due_meanwhile() -> None:
    dispatcher = dispatching(lambda: None, HALFWAY)
    await dispatcher.run_once()
    dispatcher.expect(Owed(due=1))
    await dispatcher.run_once()
    assert dispatcher._walk_at == 1
