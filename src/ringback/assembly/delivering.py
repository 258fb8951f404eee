"""The parts that deliver, made from the configuration."""

import ipaddress
from collections.abc import Callable, Sequence
from pathlib import Path

from ringback.assembly.config import Config, WebhookConfig
from ringback.assembly.headers import filled_in
from ringback.assembly.world import World
from ringback.deliver.dispatcher import DispatchSettings
from ringback.deliver.egress import Egress, EgressSettings
from ringback.deliver.notifier import Notifier
from ringback.rules.address import AddressRules
from ringback.rules.endpoint import HealthRules
from ringback.rules.retry import SECOND, Schedule
from ringback.rules.snapshot import Links
from ringback.store import accounts
from ringback.store.database import Database
from ringback.store.signing_keys import Keyring
from ringback.words.clock import SteadyClock
from ringback.words.signature import Signer


def address_rules(config: Config) -> AddressRules:
    """Say what may be dialled; loopback is allowed to a server that only its own machine can reach."""
    try:
        is_local = ipaddress.ip_address(config.server.host).is_loopback
    except ValueError:
        is_local = config.server.host == "localhost"
    return AddressRules(is_local and not config.server.public_url, config.allowed_networks)


def egress(config: Config, world: World) -> Egress:
    """Make the sender, in the running loop.

    Raises:
        SetupError: the file of certificate authorities, or a header's value, can't be had.
    """
    ca_file = Path(config.egress.ca_file) if config.egress.ca_file else None
    settings = EgressSettings(
        timeout_s=config.egress.timeout_s,
        ca_file=ca_file,
        proxy=config.egress.proxy or None,
        headers=filled_in(config.egress.headers, world.environment),
    )
    return Egress(settings, address_rules(config), now=lambda: world.clock() / SECOND)


def dispatch_settings(config: Config, links: Links) -> DispatchSettings:
    """Give a dispatcher's limits, schedule and rules of health."""
    webhooks = config.webhooks
    return DispatchSettings(
        links,
        in_flight=webhooks.in_flight,
        in_flight_per_origin=webhooks.in_flight_per_origin,
        health=HealthRules(
            close_after=webhooks.close_after,
            first_gap_s=webhooks.probe_first_s,
            longest_gap_s=webhooks.probe_longest_s,
            longest_scattered_gap_s=min(HealthRules().longest_scattered_gap_s, webhooks.probe_longest_s),
        ),
        tells=bool(webhooks.operator_url),
        schedule=_schedule(webhooks),
    )


async def keyring(config: Config, database: Database, clock: SteadyClock, world: World) -> Keyring | None:
    """Give the key pairs of v1a, or None if it is off."""
    if not config.webhooks.v1a:
        return None
    ring = Keyring(database, clock, world.entropy)
    await ring.open()
    return ring


def notifier(
    config: Config,
    database: Database,
    sender: Egress,
    clock: SteadyClock,
    world: World,
    account: str,
    keys: Callable[[], Sequence[Signer]],
) -> Notifier:
    """Make what tells the operator."""
    return Notifier(
        database,
        sender,
        config.webhooks.operator_url,
        secrets=lambda: database.read(lambda tx: accounts.live_secrets(tx, account)),
        clock=clock,
        wall=world.clock,
        schedule=_schedule(config.webhooks),
        keys=keys,
    )


def _schedule(webhooks: WebhookConfig) -> Schedule:
    return Schedule(
        base_s=webhooks.retry_base_s,
        cap_s=webhooks.retry_cap_s,
        jitter=webhooks.retry_jitter,
        window_s=webhooks.retry_window_s,
    )
