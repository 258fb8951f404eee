"""The health of an endpoint and of its origin: when to stop knocking, when to try, how to come back.

The rules, all of them here and none of them elsewhere:

1. An attempt speaks about two things. No connection, and no answer in time, speak against the origin; a
   status that refuses or fails (401, 403, 404, 410, 429, 5xx, redirects) against the endpoint, that is the
   URL without its query; a missing answer against both. 400, 409, 413, 415 and 422 are about the body, and
   count as answers.
2. After `close_after` failures in a row it is closed: one probe at a time, the gap between them doubling.
   What waits makes no attempts of its own.
3. Where each URL is another (a job's id in the path), no endpoint ever fails often enough. So the origin
   counts the endpoints that began to fail with none answering in between, and closes after `close_after`.
4. The first answer opens it. What waits then goes at once, 1, 2, 4, ... at a time.
5. A Retry-After holds the endpoint until then; neither a probe nor a recovery goes before it.
6. A probe that hangs keeps a slot from others. Then the next waits so long that all that is closed, if it
   hangs as long, has half of the slots at most.
"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ringback.rules.attempt import Result
from ringback.rules.retry import SECOND

_BODY_STATUS = frozenset({400, 409, 413, 415, 422})
_NO_CONNECTION = frozenset({"refused", "dns", "connect", "tls"})
_NO_ANSWER = frozenset({"timeout", "disconnected"})


class Target(Struct, frozen=True):
    """Where a prediction's events go.

    Attributes:
        origin: scheme://host:port.
        endpoint: the key of its endpoint, see `endpoint_key`.
    """

    origin: str
    endpoint: str


def endpoint_key(account: str, url: str) -> str:
    """Name an endpoint of an account: what one account meets with says nothing to another."""
    return f"{account} {url}"


class HealthRules(Struct, frozen=True):
    """When an endpoint is closed and how it is probed.

    Attributes:
        close_after: failures in a row.
        first_gap_s: seconds to the first probe.
        longest_gap_s: seconds between probes at most.
        longest_scattered_gap_s: the same for an origin that is closed because of many endpoints: others
            behind it may be well.
    """

    close_after: int = 5
    first_gap_s: float = 1.0
    longest_gap_s: float = 60.0
    longest_scattered_gap_s: float = 5.0


Outcome = Literal["answered", "failed", "unknown"]


def of_origin(result: Result) -> Outcome:
    """Say what an attempt tells of the origin."""
    if result.cause == "interrupted":
        return "unknown"
    return "answered" if result.cause in {"acknowledged", "status"} else "failed"


def of_endpoint(result: Result) -> Outcome:
    """Say what an attempt tells of the endpoint."""
    if result.cause == "interrupted" or result.cause in _NO_CONNECTION:
        return "unknown"
    if result.cause in _NO_ANSWER:
        return "failed"
    return "answered" if result.cause == "acknowledged" or result.status in _BODY_STATUS else "failed"


class Health(Struct, frozen=True):
    """How an endpoint, or an origin, is. Times in microseconds, None or 0 when there is none.

    Attributes:
        failures: in a row.
        scattered: of an origin: endpoints that began to fail with none answering in between.
        failing_since: the first failure of the row.
        failed_at: the last one.
        diagnosis: of the last one.
        closed_at: when it was closed.
        gap: while closed: from a failed probe to the next.
        probing: while closed: a probe is in flight.
        not_before: while closed: the next probe.
        held_until: the receiver's Retry-After.
        ramp: while recovering: attempts at a time.
        recovered_at: lanes that failed before this no longer wait for their own time.
        paused_at: when somebody paused it.
    """

    failures: int = 0
    scattered: int = 0
    failing_since: int | None = None
    failed_at: int | None = None
    diagnosis: str = ""
    closed_at: int | None = None
    gap: int = 0
    probing: bool = False
    not_before: int = 0
    held_until: int = 0
    ramp: int = 0
    recovered_at: int = 0
    paused_at: int | None = None

    @property
    def is_closed(self) -> bool:
        """Whether only probes go out."""
        return self.closed_at is not None


WELL = Health()


class Evidence(Struct, frozen=True):
    """What an attempt showed.

    Attributes:
        outcome: whether it was answered.
        begun_at: when it began: what was under way when the endpoint was closed is no probe.
        now: when it ended.
        diagnosis: in words, if it failed.
        retry_at: until when the receiver wants to be left alone, or 0.
        least_gap: microseconds to the next probe at least: many closed endpoints of one origin share theirs.
        fair_gap: the same, so that others have slots, see `fair_gap`.
    """

    outcome: Outcome
    begun_at: int
    now: int
    diagnosis: str = ""
    retry_at: int = 0
    least_gap: int = 0
    fair_gap: int = 0


def fair_gap(took_us: int, closed: int, slots: int, jitter: float) -> int:
    """Say how long to wait after an attempt that hung, microseconds.

    Args:
        took_us: how long it kept its slot, microseconds.
        closed: endpoints and origins that are closed; each has one probe in flight at most.
        slots: attempts in flight in all.
        jitter: a random number in [-1, 1]: what was closed together is not to be probed together.
    """
    return int(took_us * closed / max(1, slots // 2) * (1 + jitter / 2))


def after(health: Health, evidence: Evidence, rules: HealthRules, *, limit: int) -> Health:
    """Give the health after an attempt.

    Args:
        health: as it was.
        evidence: what the attempt showed.
        rules: when to close and to probe.
        limit: attempts in flight at most: a ramp that reaches it is over.
    """
    held = max(health.held_until, evidence.retry_at)
    health = replace(health, held_until=held if held > evidence.now else 0)
    match evidence.outcome:
        case "answered":
            return _answered(health, evidence.now, limit)
        case "failed":
            return _failed(health, evidence, rules)
        case _:
            return _unproven(health, evidence)


def _answered(health: Health, now: int, limit: int) -> Health:
    well = Health(
        held_until=health.held_until,
        ramp=health.ramp,
        recovered_at=health.recovered_at,
        paused_at=health.paused_at,
    )
    if health.is_closed:
        return replace(well, ramp=1, recovered_at=now)
    # One more for each answer: a full round of answers doubles what is in flight.
    return replace(well, ramp=health.ramp + 1 if 0 < health.ramp < limit - 1 else 0)


def _failed(health: Health, evidence: Evidence, rules: HealthRules) -> Health:
    now = evidence.now
    health = replace(
        health,
        failures=health.failures + 1,
        failing_since=now if health.failing_since is None else health.failing_since,
        failed_at=now,
        diagnosis=evidence.diagnosis,
        ramp=min(health.ramp, 1),
    )
    if health.closed_at is None:
        return close(health, now, rules) if health.failures >= rules.close_after else health
    if evidence.begun_at <= health.closed_at:
        return health
    is_scattered = health.scattered >= rules.close_after
    longest = rules.longest_scattered_gap_s if is_scattered else rules.longest_gap_s
    gap = min(2 * health.gap, int(longest * SECOND))
    return replace(
        health, gap=gap, not_before=now + max(gap, evidence.least_gap, evidence.fair_gap), probing=False
    )


def _unproven(health: Health, evidence: Evidence) -> Health:
    if health.closed_at is None or evidence.begun_at <= health.closed_at:
        return health
    return replace(health, not_before=evidence.now + health.gap, probing=False)


def close(health: Health, now: int, rules: HealthRules) -> Health:
    """Give the health once closed at `now`."""
    gap = int(rules.first_gap_s * SECOND)
    return replace(health, closed_at=now, gap=gap, not_before=now + gap, probing=False, ramp=0)


def is_scattered(origin: Health, rules: HealthRules) -> bool:
    """Whether an origin is closed because of its endpoints: then only an endpoint's answer opens it."""
    return origin.is_closed and origin.scattered >= rules.close_after


def origin_after(
    origin: Health, result: Result, evidence: Evidence, rules: HealthRules, *, limit: int, first: bool
) -> Health:
    """Give an origin's health after an attempt at one of its endpoints.

    Args:
        origin: as it was.
        result: what the attempt came to.
        evidence: what it showed of the endpoint.
        rules: when to close and to probe.
        limit: attempts in flight at most.
        first: the endpoint had not been failing before.
    """
    outcome = of_origin(result)
    own = replace(evidence, outcome=outcome, retry_at=0, least_gap=0)
    if is_scattered(origin, rules) and outcome == "answered":
        return after(origin, replace(own, outcome=evidence.outcome), rules, limit=limit)
    health = after(origin, own, rules, limit=limit)
    if evidence.outcome == "answered":
        return health
    # That it answered at all is no answer of an endpoint, and does not end their row of failures.
    health = replace(health, scattered=origin.scattered)
    if evidence.outcome == "unknown" or not first or outcome != "answered" or health.is_closed:
        return health
    health = replace(
        health,
        scattered=health.scattered + 1,
        failing_since=origin.failing_since or evidence.now,
        failed_at=evidence.now,
        diagnosis=evidence.diagnosis,
    )
    return close(health, evidence.now, rules) if health.scattered >= rules.close_after else health


def probing(health: Health) -> Health:
    """Give the health while a probe is in flight."""
    return replace(health, probing=True) if health.is_closed else health


def at_once(health: Health, now: int) -> Health:
    """Give the health with the next probe now, because somebody asks for it."""
    # Never in the microsecond of the closing: by its time alone it would pass for an attempt from before.
    earliest = now if health.closed_at is None else max(now, health.closed_at + 1)
    return replace(health, not_before=min(health.not_before, earliest))


def resumed(health: Health, now: int) -> Health:
    """Give the health once somebody has ended a pause: what failed before need not wait longer."""
    return replace(at_once(health, now), paused_at=None, recovered_at=max(health.recovered_at, now))


def room(health: Health, now: int, limit: int) -> int:
    """Say how many attempts may be in flight at a time, `limit` at most."""
    if health.paused_at is not None or health.held_until > now:
        return 0
    if health.is_closed:
        return 0 if health.probing or health.not_before > now else 1
    return min(health.ramp, limit) if health.ramp else limit


def opens_at(health: Health) -> int | None:
    """Say when there may be room again, or None if that is not a matter of time."""
    if health.paused_at is not None or health.probing:
        return None
    return max(health.held_until, health.not_before if health.is_closed else 0)


def is_special(health: Health, now: int) -> bool:
    """Whether its deliveries can't be treated like any other's now."""
    return health.is_closed or health.ramp > 0 or health.paused_at is not None or health.held_until > now


State = Literal["open", "failing", "closed", "held", "recovering", "paused"]


def state(health: Health, now: int) -> State:
    """Name the health, as it is shown to people."""
    if health.paused_at is not None:
        return "paused"
    if health.is_closed:
        return "closed"
    if health.held_until > now:
        return "held"
    if health.ramp:
        return "recovering"
    return "failing" if health.failures or health.scattered else "open"
