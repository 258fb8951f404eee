"""Any evidence of an endpoint, in any order: when there is room, and that there will be again."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringback.rules.endpoint import (
    WELL,
    Evidence,
    Health,
    HealthRules,
    Outcome,
    after,
    is_special,
    opens_at,
    probing,
    resumed,
    room,
    state,
)
from ringback.rules.retry import SECOND

NOW = 1_000_000 * SECOND
RULES = HealthRules()
LIMIT = 8

happenings = st.lists(
    st.tuples(
        st.sampled_from(["answered", "failed", "failed", "failed", "unknown", "probe", "resume", "pause"]),
        st.integers(0, 90) | st.integers(0, 7200),
        st.booleans(),
        st.sampled_from([0, 0, 0, 1, 600]),
    ),
    max_size=40,
)


def happened(health: Health, what: str, now: int, *, early: bool, retry_after: int) -> Health:
    if what == "probe":
        return probing(health) if room(health, now, LIMIT) else health
    if what == "resume":
        return resumed(health, now)
    if what == "pause":
        return replace(health, paused_at=now)
    begun = 0 if early else now
    outcome: Outcome = "answered" if what == "answered" else "failed" if what == "failed" else "unknown"
    retry_at = now + retry_after * SECOND if retry_after else 0
    return after(health, Evidence(outcome, begun, now, "x", retry_at), RULES, limit=LIMIT)


@given(happenings)
def test_whatever_happens_it_knocks_neither_too_often_nor_never_again(
    found: list[tuple[str, int, bool, int]],
) -> None:
    health, now, held_until = WELL, NOW, 0
    for what, seconds, early, retry_after in found:
        now += seconds * SECOND
        health = happened(health, what, now, early=early, retry_after=retry_after)
        if retry_after and what in {"answered", "failed", "unknown"}:
            held_until = max(held_until, now + retry_after * SECOND)
        there, opens = room(health, now, LIMIT), opens_at(health)
        assert 0 <= there <= LIMIT
        assert not held_until > now or there == 0
        if health.is_closed:
            assert SECOND <= health.gap <= RULES.longest_gap_s * SECOND
            assert there <= 1
            assert health.not_before <= now + RULES.longest_gap_s * SECOND
        else:
            assert not health.probing
        assert opens is None or opens <= now or there == 0
        if opens is None:
            assert there == 0
            assert health.probing or health.paused_at is not None
        else:
            assert room(health, max(opens, now), LIMIT) >= 1, "it says when, and then there is no room"
        assert is_special(health, now) or there == LIMIT
        assert is_special(health, now) is (state(health, now) not in {"open", "failing"})
