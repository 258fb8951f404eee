"""The parts that tell who asks, and how often that may be, made from the configuration."""

from ringback.api.auth import Authenticator
from ringback.api.forwarded import Forwarded
from ringback.api.limits import Limits
from ringback.assembly.config import Config
from ringback.assembly.world import World
from ringback.store.database import Database


def forwarded(config: Config) -> Forwarded:
    """Give whose word on who asks is taken; a public URL stands whatever a proxy says."""
    return Forwarded(config.trusted_proxies, rebases=not config.server.public_url)


def authenticator(config: Config, world: World, database: Database, account: str) -> Authenticator:
    """Make what finds the account of a request.

    Args:
        config: the settings.
        world: what comes from outside.
        database: where tokens are.
        account: the operator's.
    """
    return Authenticator(
        database,
        world.monotonic,
        account=account,
        accepted=world.token,
        limits=Limits(
            world.monotonic,
            creates_per_min=config.limits.creates_per_min,
            requests_per_min=config.limits.requests_per_min,
        ),
        client=forwarded(config).client,
    )
