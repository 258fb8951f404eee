"""Many predictions that owe a `completed`, in one transaction; and a walk over all that is overdue."""

from ringback.rules import endpoint as rules
from ringback.rules.endpoint import WELL, Health, HealthRules, Target, endpoint_key
from ringback.store import endpoints, expiry, predictions, runs
from ringback.store.database import Tx
from ringback.store.endpoints import Endpoint
from ringback.store.predictions import New, Webhook
from ringback.store.runs import Ending
from store.world import ACCOUNT, MODEL, ORIGIN, SHIPPED, VERSION, World, hook


async def crowd(world: World, count: int, webhook: Webhook | None = None) -> list[str]:
    """Predictions that have ended and owe one delivery each."""
    webhook = webhook or hook("completed")
    new = [
        New(world.ids.make(world.now), ACCOUNT, VERSION, MODEL, '{"text":"hi"}', webhook)
        for _ in range(count)
    ]

    async def made(tx: Tx) -> None:
        for each in new:
            await predictions.create(tx, each)
        for claim in await runs.claim(tx, VERSION, "", "worker_1", count):
            await runs.end(tx, claim.hold, Ending("fail", error="x"), world.telling())

    await world.database.write(made)
    return [each.id for each in new]


def place(path: str = "/hook", origin: str = ORIGIN) -> Target:
    return Target(origin, endpoint_key(ACCOUNT, f"{origin}{path}"))


async def ill(world: World, target: Target, health: Health) -> None:
    """Have an endpoint be as its last attempts would have made it."""
    found = Endpoint(target.endpoint, ACCOUNT, target.endpoint.partition(" ")[2], target.origin, None, health)
    await world.database.write(lambda tx: endpoints.save(tx, found))


async def closed(world: World, target: Target) -> Health:
    """Close an endpoint now."""
    broken = Health(failures=5, failing_since=world.now, failed_at=world.now, diagnosis="answered 503")
    health = rules.close(broken, world.now, HealthRules())
    await ill(world, target, health)
    return health


async def well(world: World, target: Target) -> None:
    await ill(world, target, WELL)


async def given_up(world: World, *, tells: bool = False) -> list[int]:
    """Give up all that is overdue; say how many deliveries in each step."""
    counts, after = [], ""
    while True:
        step = await world.database.write(
            lambda tx, after=after: expiry.expire(tx, SHIPPED.window_s, after, tells=tells)  # type: ignore[misc] # now
        )
        counts.append(step.count)
        after = step.after
        if not after and not step.count:
            return counts


async def endpoint(world: World, key: str) -> Endpoint | None:
    return await world.database.read(lambda tx: endpoints.get(tx, key))
