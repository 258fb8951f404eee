"""What /metrics shows: figures for Prometheus.

What is counted is kept in memory and begins at 0 with each start, as Prometheus expects of counters; what
there is at the moment is read from the store when it is asked for. Labels have a fixed set of values: no URL,
no id, and no model that is not in the configuration.
"""

import itertools
from collections.abc import Iterable
from math import nan
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from ringback import __version__
from ringback.rules.attempt import Cause, Result
from ringback.rules.lane import End
from ringback.rules.prediction import EVENTS, TERMINAL, Status
from ringback.rules.retry import SECOND
from ringback.store.attempts import Work
from ringback.store.gauges import Gauges

OTHER = "other"
"""Stands for all models that are not in the configuration."""

# fmt: off
_ATTEMPT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
_ACKNOWLEDGED_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 1800, 7200, 21600, 86400)
# fmt: on

# They would be one more series for each, which says when this process began.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library does not type it


class Figures:
    """Counts what it is told (as a deliver.observer.Observer, among others) and renders all figures."""

    def __init__(self, models: Iterable[str], *, access: str) -> None:
        """Begin at 0.

        Args:
            models: the names in the configuration.
            access: who may read them: `token`, `open` or `off`.
        """
        self.access = access
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Gauge("ringback_info", "The running version.", ["version"], registry=registry).labels(
            __version__
        ).set(1)
        self._count(registry)
        self._time(registry)
        self._name(tuple(models), registry)
        self._look(registry)

    def _count(self, registry: CollectorRegistry) -> None:
        attempts = Counter(
            "ringback_attempts", "Attempts to deliver, by what ended them.", ["cause"], registry=registry
        )
        self._attempts = {cause: attempts.labels(cause) for cause in get_args(Cause)}
        deliveries = Counter(
            "ringback_deliveries",
            "Deliveries that an attempt ended, by event and outcome.",
            ["event", "outcome"],
            registry=registry,
        )
        self._deliveries = {
            pair: deliveries.labels(*pair) for pair in itertools.product(EVENTS, get_args(End))
        }
        self._refused = Counter(
            "ringback_store_refusals", "Changes that the database could not take.", registry=registry
        )

    def _time(self, registry: CollectorRegistry) -> None:
        seconds = Histogram(
            "ringback_attempt_seconds",
            "How long attempts took.",
            ["outcome"],
            buckets=_ATTEMPT_S,
            registry=registry,
        )
        self._acknowledged, self._failed = seconds.labels("acknowledged"), seconds.labels("failed")
        self._latency = Histogram(
            "ringback_completion_acknowledged_seconds",
            "From the end of a prediction to the acknowledgement of its completed event.",
            buckets=_ACKNOWLEDGED_S,
            registry=registry,
        )

    def _name(self, models: tuple[str, ...], registry: CollectorRegistry) -> None:
        names = (*models, OTHER)
        statuses: tuple[Status, ...] = ("starting", *sorted(TERMINAL))
        predictions = Counter(
            "ringback_predictions",
            "Predictions, by model and status reached; starting: created.",
            ["model", "status"],
            registry=registry,
        )
        self._predictions = {pair: predictions.labels(*pair) for pair in itertools.product(names, statuses)}
        depth = Gauge(
            "ringback_queue_depth", "Predictions that wait for a runner.", ["model"], registry=registry
        )
        self._depth = {name: depth.labels(name) for name in names}

    def _look(self, registry: CollectorRegistry) -> None:
        self._in_flight = Gauge("ringback_attempts_in_flight", "Attempts under way.", registry=registry)
        oldest = Gauge(
            "ringback_oldest_due_seconds",
            "How long the delivery that has been due longest has been so.",
            ["scope"],
            registry=registry,
        )
        self._ready, self._worst = oldest.labels("ready"), oldest.labels("worst_endpoint")
        self._closed = Gauge("ringback_endpoints_closed", "Closed endpoints and origins.", registry=registry)
        self._paused = Gauge("ringback_endpoints_paused", "Paused endpoints.", registry=registry)

    def attempted(self, work: Work, result: Result, end: End | None, latency_us: int | None) -> None:
        """See deliver.observer.Observer."""
        self._attempts[result.cause].inc()
        seconds = self._acknowledged if result.cause == "acknowledged" else self._failed
        seconds.observe(result.duration_us / SECOND)
        if end is not None:
            self._deliveries[work.event, end].inc()
        if latency_us is not None:
            self._latency.observe(latency_us / SECOND)

    def created(self, model: str) -> None:
        """A prediction has been created."""
        self.reached(model, "starting")

    def reached(self, model: str, status: Status) -> None:
        """A prediction has reached a status."""
        self._predictions[self._label(model), status].inc()

    def write_refused(self) -> None:
        """The database could not take a change."""
        self._refused.inc()

    def _label(self, model: str) -> str:
        return model if model in self._depth else OTHER

    def render(self, accept: str, found: Gauges | None, in_flight: int) -> tuple[bytes, str]:
        """Give the text and its content type.

        Args:
            accept: the request's `accept` header.
            found: what the store says, or None if it can't be asked: then it is unknown, not 0.
            in_flight: attempts under way.
        """
        self._in_flight.set(in_flight)
        for gauge in (self._ready, self._worst, self._closed, self._paused, *self._depth.values()):
            gauge.set(nan if found is None else 0)
        if found is not None:
            self._ready.set(found.oldest_ready_us / SECOND)
            self._worst.set(found.oldest_due_us / SECOND)
            self._closed.set(found.closed)
            self._paused.set(found.paused)
            for model, waiting in found.queued.items():
                self._depth[self._label(model)].inc(waiting)
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
