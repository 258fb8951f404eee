"""What the handlers work with, handed in by assembly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ringback.api.auth import Authenticator
from ringback.api.catalog import Catalog
from ringback.api.figures import Figures
from ringback.api.keeping import Uploads
from ringback.api.wire import HookRules
from ringback.deliver.sample import Samples
from ringback.rules.snapshot import Links
from ringback.store.outbox import Outbox
from ringback.store.signing_keys import Keyring
from ringback.store.watchers import Watchers
from ringback.words.ids import Entropy, PredictionIds


class Runners(Protocol):
    """What the API tells whoever runs predictions in this process."""

    def wake(self, version: str, pool: str = "") -> None:
        """There is a new prediction of this version, for the replicas of this pool."""

    def cancel(self, prediction_id: str) -> None:
        """A prediction has been canceled."""

    def changed(self) -> None:
        """Models or deployments have changed in the store: look again."""


class Deadlines(Protocol):
    """What the API tells whoever ends predictions at their deadline."""

    def expect(self, deadline: int) -> None:
        """There is a new deadline, microseconds since the epoch."""


class Blobs(Protocol):
    """Where the bytes of output files are."""

    def path(self, id_: str) -> object:
        """Give the file's place on disk."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Models that the configuration shows together, each owner/name."""

    slug: str
    name: str
    description: str
    full_description: str | None
    models: Sequence[str]


@dataclass(frozen=True, slots=True)
class Service:
    """Everything a handler needs.

    Attributes:
        links: where this server is reached, as answers show it.
        watchers: requests and streams that wait for predictions.
        uploads: how files that people send are kept.
        overlap_s: how long a rotated secret or key goes on signing, seconds.
        keyring: the private keys that sign beside the secrets; None while v1a is off.
        resend_per_s: dead deliveries sent again at most, each second.
        body_limit: bytes of a request's body.
        figures: what /metrics shows.
        hardware: what models run on: by SKU, what a person calls it.
        collections: as the configuration has them.
        in_flight: how many attempts are under way, which requests shall not hold up.
    """

    outbox: Outbox
    links: Links
    runners: Runners
    deadlines: Deadlines
    watchers: Watchers
    blobs: Blobs
    uploads: Uploads
    catalog: Catalog
    authenticator: Authenticator
    hooks: HookRules
    samples: Samples
    ids: PredictionIds
    entropy: Entropy
    clock: Callable[[], int]
    figures: Figures
    overlap_s: float
    keyring: Keyring | None
    resend_per_s: float
    body_limit: int
    hardware: Mapping[str, str]
    collections: Sequence[Collection]
    in_flight: Callable[[], int]
