"""`[webhooks]`: which events are sent, and when again."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ringback.assembly.settings.reading import Rule
from ringback.rules.prediction import EVENTS
from ringback.rules.url import url_fault


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """`[webhooks]`."""

    default_events: list[str] = field(default_factory=lambda: ["output", "completed"])
    """The events sent when a prediction names no filter."""
    throttle_s: float = 0.5
    """The window within which at most one output or logs event of a prediction is sent."""
    secret_overlap_s: float = 86400.0
    """How long a rotated secret, or key of v1a, goes on signing beside the new one."""
    v1a: bool = False
    """Whether each request is also signed with the server's private key (ed25519), for receivers that shall
    hold no secret."""
    retry_base_s: float = 5.0
    """The wait after the first failed attempt; it doubles with each further one."""
    retry_cap_s: float = 7200.0
    """The longest wait between two attempts."""
    retry_jitter: float = 0.1
    """The share by which each wait is moved at random, up or down."""
    retry_window_s: float = 86400.0
    """How long after its event a delivery is tried."""
    in_flight: int = 512
    """Attempts at a time, in all."""
    in_flight_per_origin: int = 32
    """Attempts at a time for each scheme, host and port; a quarter of them is kept for URLs with none."""
    close_after: int = 5
    """After how many failures in a row an endpoint or an origin gets only probes."""
    probe_first_s: float = 1.0
    """The wait before the first probe; it doubles with each that fails."""
    probe_longest_s: float = 60.0
    """The longest wait between two probes."""
    resend_per_s: float = 20.0
    """How many dead deliveries a second go out again when many are asked for."""
    operator_url: str = field(default="", repr=False)
    """A webhook of your own that hears of endpoints that close and open, and of deliveries given up."""


def rules(webhooks: WebhookConfig) -> Iterator[Rule]:
    """Give what must hold of the section."""
    yield set(webhooks.default_events) <= set(EVENTS), f"webhooks.default_events: only {', '.join(EVENTS)}"
    yield webhooks.throttle_s >= 0, "webhooks.throttle_s must not be negative"
    yield webhooks.secret_overlap_s >= 0, "webhooks.secret_overlap_s must not be negative"
    yield webhooks.retry_base_s > 0, "webhooks.retry_base_s must be above 0"
    yield webhooks.retry_cap_s > 0, "webhooks.retry_cap_s must be above 0"
    yield 0 <= webhooks.retry_jitter < 1, "webhooks.retry_jitter must be from 0 to below 1"
    yield webhooks.retry_window_s >= 0, "webhooks.retry_window_s must not be negative"
    yield webhooks.in_flight > 0, "webhooks.in_flight must be above 0"
    yield webhooks.in_flight_per_origin > 0, "webhooks.in_flight_per_origin must be above 0"
    yield webhooks.close_after > 0, "webhooks.close_after must be above 0"
    yield webhooks.probe_first_s > 0, "webhooks.probe_first_s must be above 0"
    yield (
        webhooks.probe_longest_s >= webhooks.probe_first_s,
        "webhooks.probe_longest_s must not be below webhooks.probe_first_s",
    )
    yield webhooks.resend_per_s > 0, "webhooks.resend_per_s must be above 0"
    fault = url_fault(webhooks.operator_url) if webhooks.operator_url else None
    yield not fault, f"webhooks.operator_url {fault}"
