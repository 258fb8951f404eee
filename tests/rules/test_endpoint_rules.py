"""The health of endpoints and origins, by the five rules that rules/endpoint.py has."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from ringback.rules.attempt import Cause, Result
from ringback.rules.endpoint import (
    WELL,
    Evidence,
    Health,
    HealthRules,
    Outcome,
    after,
    at_once,
    close,
    fair_gap,
    is_scattered,
    of_endpoint,
    of_origin,
    opens_at,
    origin_after,
    probing,
    resumed,
    room,
    state,
)
from ringback.rules.retry import SECOND

NOW = 1_000_000 * SECOND
RULES = HealthRules()
LIMIT = 8


def result(cause: Cause, status: int | None = None) -> Result:
    return Result(cause, "", status, "", 1000)


OK = result("acknowledged", 200)
BROKEN = result("status", 503)
UNFIT = result("status", 400)
REFUSED = result("connect")
STOPPED = result("interrupted")


def fails(health: Health, now: int, *, begun_at: int | None = None, retry_at: int = 0) -> Health:
    begun = now if begun_at is None else begun_at
    return after(health, Evidence("failed", begun, now, "answered 503", retry_at), RULES, limit=LIMIT)


def answers(health: Health, now: int, *, begun_at: int | None = None, retry_at: int = 0) -> Health:
    begun = now if begun_at is None else begun_at
    return after(health, Evidence("answered", begun, now, "", retry_at), RULES, limit=LIMIT)


def closed(at: int = NOW) -> Health:
    health = WELL
    for _ in range(RULES.close_after):
        health = fails(health, at)
    return health


def attempted(
    origin: Health, endpoint: Health, found: Result, now: int, begun_at: int | None = None
) -> tuple[Health, Health]:
    """Give both as the store does: the endpoint's evidence is the origin's, too."""
    begun = now if begun_at is None else begun_at
    evidence = Evidence(of_endpoint(found), begun, now, found.diagnosis)
    first = not endpoint.failures
    return (
        origin_after(origin, found, evidence, RULES, limit=LIMIT, first=first),
        after(endpoint, evidence, RULES, limit=LIMIT),
    )


def scattered(at: int = NOW) -> Health:
    """An origin of which five URLs, each another, failed with none answering in between."""
    origin = WELL
    for _ in range(RULES.close_after):
        origin, _ = attempted(origin, WELL, BROKEN, at)
    return origin


# 1. Of whom an attempt speaks


@pytest.mark.parametrize(
    ("cause", "status", "origin", "endpoint"),
    [
        ("acknowledged", 200, "answered", "answered"),
        ("acknowledged", 204, "answered", "answered"),
        ("status", 301, "answered", "failed"),
        ("status", 400, "answered", "answered"),
        ("status", 401, "answered", "failed"),
        ("status", 403, "answered", "failed"),
        ("status", 404, "answered", "failed"),
        ("status", 409, "answered", "answered"),
        ("status", 410, "answered", "failed"),
        ("status", 413, "answered", "answered"),
        ("status", 415, "answered", "answered"),
        ("status", 422, "answered", "answered"),
        ("status", 429, "answered", "failed"),
        ("status", 500, "answered", "failed"),
        ("status", 503, "answered", "failed"),
        ("refused", None, "failed", "unknown"),
        ("dns", None, "failed", "unknown"),
        ("connect", None, "failed", "unknown"),
        ("tls", None, "failed", "unknown"),
        ("timeout", None, "failed", "failed"),
        ("disconnected", None, "failed", "failed"),
        ("interrupted", None, "unknown", "unknown"),
    ],
)
def test_rule_1_each_result_speaks_of_the_origin_the_endpoint_both_or_neither(
    cause: Cause, status: int | None, origin: Outcome, endpoint: Outcome
) -> None:
    found = result(cause, status)
    assert (of_origin(found), of_endpoint(found)) == (origin, endpoint)


# 2. Closing and probing


def test_rule_2_the_fifth_failure_in_a_row_closes_it() -> None:
    health = WELL
    for count in range(1, RULES.close_after):
        health = fails(health, NOW + count)
        assert not health.is_closed
        assert room(health, NOW + count, LIMIT) == LIMIT
    health = fails(health, NOW + 9)
    assert (health.closed_at, health.failing_since, health.failed_at) == (NOW + 9, NOW + 1, NOW + 9)
    assert (health.failures, health.diagnosis) == (5, "answered 503")
    assert room(health, NOW + 9, LIMIT) == 0


def test_rule_2_an_answer_in_between_begins_the_row_anew() -> None:
    health = WELL
    for each in (fails, fails, fails, fails, answers, fails, fails, fails, fails):
        health = each(health, NOW)
    assert not health.is_closed
    assert fails(health, NOW).is_closed


def test_rule_2_what_shows_nothing_neither_counts_nor_ends_the_row() -> None:
    health = WELL
    for _ in range(RULES.close_after - 1):
        health = fails(health, NOW)
        health = after(health, Evidence("unknown", NOW, NOW), RULES, limit=LIMIT)
    assert not health.is_closed
    assert fails(health, NOW).is_closed


def test_rule_2_the_gap_between_probes_doubles_from_one_second_to_sixty() -> None:
    health, now, gaps = closed(), NOW, []
    for _ in range(9):
        opens = opens_at(health)
        assert opens is not None
        assert room(health, opens - 1, LIMIT) == 0
        gaps.append((opens - now) // SECOND)
        now = opens
        health = fails(probing(health), now)
    assert gaps == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_rule_2_one_probe_at_a_time() -> None:
    health, now = closed(), NOW + SECOND
    assert room(health, now, LIMIT) == 1
    health = probing(health)
    assert room(health, now + 3600 * SECOND, LIMIT) == 0
    assert opens_at(health) is None


def test_rule_2_only_what_is_closed_is_probed() -> None:
    assert probing(WELL) == WELL


def test_rule_2_what_began_before_it_was_closed_is_no_probe() -> None:
    health = probing(closed())
    late = fails(health, NOW + 7 * SECOND, begun_at=NOW - 1)
    assert (late.gap, late.not_before, late.probing) == (health.gap, health.not_before, True)
    unproven = after(health, Evidence("unknown", NOW - 1, NOW + 7 * SECOND), RULES, limit=LIMIT)
    assert unproven == health


def test_rule_2_a_probe_that_shows_nothing_is_made_again_after_the_same_gap() -> None:
    health = probing(closed())
    now = NOW + 5 * SECOND
    found = after(health, Evidence("unknown", NOW + SECOND, now), RULES, limit=LIMIT)
    assert (found.gap, found.probing, opens_at(found)) == (health.gap, False, now + health.gap)


def test_rule_2_many_closed_endpoints_of_an_origin_share_its_probes() -> None:
    evidence = Evidence("failed", NOW + SECOND, NOW + SECOND, least_gap=500 * SECOND)
    found = after(probing(closed()), evidence, RULES, limit=LIMIT)
    assert opens_at(found) == NOW + 501 * SECOND
    assert found.gap == 2 * SECOND


# 3. Where each URL is another


def test_rule_6_a_probe_that_hangs_makes_the_next_wait_for_its_share_of_the_slots() -> None:
    health = close(WELL, NOW, RULES)
    now = NOW + 16 * SECOND
    evidence = Evidence("failed", NOW + SECOND, now, fair_gap=900 * SECOND)
    assert opens_at(after(probing(health), evidence, RULES, limit=LIMIT)) == now + 900 * SECOND


@pytest.mark.parametrize(("closed", "seconds"), [(0, 0), (1, 15 / 256), (1024, 60), (16384, 960)])
def test_rule_6_all_that_hang_together_keep_half_of_the_slots(closed: int, seconds: float) -> None:
    gap = fair_gap(15 * SECOND, closed, 512, 0.0)
    assert gap == int(seconds * SECOND)
    assert closed * 15 / (15 + gap / SECOND) <= 256


def test_rule_6_what_was_closed_together_is_not_probed_together() -> None:
    gaps = [fair_gap(15 * SECOND, 1024, 512, jitter) / SECOND for jitter in (-1.0, 0.0, 1.0)]
    assert gaps == [30, 60, 90]


def test_rule_3_five_endpoints_that_begin_to_fail_close_their_origin() -> None:
    origin = WELL
    for count in range(1, RULES.close_after):
        origin, _ = attempted(origin, WELL, BROKEN, NOW)
        assert (origin.scattered, origin.is_closed) == (count, False)
    origin, _ = attempted(origin, WELL, BROKEN, NOW)
    assert is_scattered(origin, RULES)


def test_rule_3_one_endpoint_that_goes_on_failing_counts_once() -> None:
    origin, endpoint = WELL, WELL
    for _ in range(20):
        origin, endpoint = attempted(origin, endpoint, BROKEN, NOW)
    assert (origin.scattered, origin.is_closed, endpoint.is_closed) == (1, False, True)


@pytest.mark.parametrize(("between", "count"), [(OK, 1), (UNFIT, 1), (STOPPED, 4), (REFUSED, 4)])
def test_rule_3_only_an_endpoints_answer_ends_their_row(between: Result, count: int) -> None:
    origin = WELL
    for found in (BROKEN, BROKEN, BROKEN, between, BROKEN):
        origin, _ = attempted(origin, WELL, found, NOW)
    assert origin.scattered == count


def test_rule_3_an_origin_that_is_closed_for_its_endpoints_is_probed_every_five_seconds_at_least() -> None:
    health, now, gaps = scattered(), NOW, []
    for _ in range(6):
        opens = opens_at(health)
        assert opens is not None
        gaps.append((opens - now) // SECOND)
        now = opens
        health, _ = attempted(probing(health), WELL, BROKEN, now)
    assert gaps == [1, 2, 4, 5, 5, 5]


@pytest.mark.parametrize(
    ("found", "is_open"), [(OK, True), (UNFIT, True), (BROKEN, False), (REFUSED, False), (STOPPED, False)]
)
def test_rule_3_such_an_origin_is_opened_by_an_endpoints_answer_and_by_no_mere_connection(
    found: Result, is_open: bool
) -> None:
    health, _ = attempted(probing(scattered()), WELL, found, NOW + SECOND)
    assert health.is_closed is not is_open
    assert not health.probing


@pytest.mark.parametrize(
    ("found", "is_open"),
    [(OK, True), (UNFIT, True), (BROKEN, True), (REFUSED, False), (result("timeout"), False)],
)
def test_rule_3_an_origin_that_could_not_be_reached_is_opened_by_any_status(
    found: Result, is_open: bool
) -> None:
    origin = WELL
    for _ in range(RULES.close_after):
        origin, _ = attempted(origin, WELL, REFUSED, NOW)
    assert origin.is_closed
    origin, _ = attempted(probing(origin), WELL, found, NOW + SECOND)
    assert origin.is_closed is not is_open


# 4. The first answer opens it


@pytest.mark.parametrize("begun_at", [NOW - SECOND, NOW + SECOND])
def test_rule_4_the_first_answer_opens_it_whether_it_was_a_probe_or_not(begun_at: int) -> None:
    now = NOW + 2 * SECOND
    health = answers(probing(closed()), now, begun_at=begun_at)
    assert health == Health(ramp=1, recovered_at=now)
    assert room(health, now, LIMIT) == 1


def test_rule_4_each_round_of_answers_doubles_what_goes_until_the_limit() -> None:
    health, rooms = answers(closed(), NOW), []
    for _ in range(4):
        rooms.append(room(health, NOW, LIMIT))
        for _ in range(rooms[-1]):
            health = answers(health, NOW)
    assert rooms == [1, 2, 4, 8]
    assert health.ramp == 0


def test_rule_4_a_failure_begins_the_ramp_anew_and_five_close_it_again() -> None:
    health = Health(ramp=6, recovered_at=NOW)
    health = fails(health, NOW)
    assert (health.ramp, health.is_closed) == (1, False)
    for _ in range(RULES.close_after - 1):
        health = fails(health, NOW)
    assert (health.ramp, health.is_closed, health.gap) == (0, True, SECOND)


def test_rule_4_a_failure_of_what_never_was_closed_begins_no_ramp() -> None:
    assert fails(WELL, NOW).ramp == 0


# 5. Retry-After


def test_rule_5_nothing_goes_before_retry_after_is_over() -> None:
    health = fails(WELL, NOW, retry_at=NOW + 300 * SECOND)
    assert room(health, NOW + 300 * SECOND - 1, LIMIT) == 0
    assert opens_at(health) == NOW + 300 * SECOND
    assert room(health, NOW + 300 * SECOND, LIMIT) == LIMIT


@pytest.mark.parametrize(
    "then",
    [
        lambda health: answers(health, NOW + SECOND),
        lambda health: answers(close(health, NOW, RULES), NOW + SECOND),
        lambda health: fails(health, NOW + SECOND, retry_at=NOW + 2 * SECOND),
        lambda health: fails(probing(close(health, NOW, RULES)), NOW + SECOND),
        lambda health: resumed(replace(health, paused_at=NOW), NOW + SECOND),
        lambda health: resumed(close(health, NOW, RULES), NOW + SECOND),
    ],
    ids=["an answer", "the first answer", "a shorter one", "a probe", "the end of a pause", "a wish"],
)
def test_rule_5_nothing_shortens_it(then: Callable[[Health], Health]) -> None:
    found = then(fails(WELL, NOW, retry_at=NOW + 300 * SECOND))
    assert found.held_until == NOW + 300 * SECOND
    assert room(found, NOW + 300 * SECOND - 1, LIMIT) == 0
    assert opens_at(found) == NOW + 300 * SECOND


def test_rule_5_once_it_is_over_the_next_attempt_forgets_it() -> None:
    health = answers(fails(WELL, NOW, retry_at=NOW + SECOND), NOW + SECOND)
    assert health == WELL


def test_rule_5_an_endpoints_retry_after_holds_no_other_endpoint_of_its_origin() -> None:
    evidence = Evidence("failed", NOW, NOW, retry_at=NOW + SECOND)
    origin = origin_after(WELL, result("status", 429), evidence, RULES, limit=LIMIT, first=True)
    assert origin.held_until == 0


# Pauses, and the names that people are shown


def test_a_pause_stops_everything_and_outlives_answers_and_failures() -> None:
    health = replace(closed(), paused_at=NOW)
    for each in (health, answers(health, NOW + SECOND), fails(health, NOW + SECOND)):
        assert each.paused_at == NOW
        assert room(each, NOW + 86400 * SECOND, LIMIT) == 0
        assert opens_at(each) is None


def test_the_end_of_a_pause_has_it_tried_at_once_and_what_failed_before_goes_too() -> None:
    health = resumed(replace(closed(), paused_at=NOW), NOW + 1)
    assert (health.paused_at, health.recovered_at) == (None, NOW + 1)
    assert room(health, NOW + 1, LIMIT) == 1


@pytest.mark.parametrize("asks", [at_once, resumed])
def test_a_probe_that_somebody_asks_for_as_it_closes_is_still_known_for_one(
    asks: Callable[[Health, int], Health],
) -> None:
    """Transactions that are committed together have the same time."""
    health = asks(closed(), NOW)
    opens = opens_at(health)
    assert opens is not None
    assert NOW < opens < NOW + SECOND
    assert not fails(probing(health), opens).probing


@pytest.mark.parametrize(
    ("health", "name"),
    [
        (WELL, "open"),
        (Health(failures=1), "failing"),
        (Health(scattered=1), "failing"),
        (Health(closed_at=NOW), "closed"),
        (Health(held_until=NOW), "open"),
        (Health(held_until=NOW + 1), "held"),
        (Health(ramp=1), "recovering"),
        (Health(closed_at=NOW, held_until=NOW + 1), "closed"),
        (Health(paused_at=NOW, closed_at=NOW), "paused"),
    ],
)
def test_each_health_has_a_name(health: Health, name: str) -> None:
    assert state(health, NOW) == name
