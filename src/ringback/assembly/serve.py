"""Everything in one process: the API, the worker, the dispatcher, on one data folder.

The only module that knows everybody. It starts and stops the parts in order; each is made in a module beside
this one.
"""

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.types import ASGIApp

from ringback.api.app import application
from ringback.api.auth import Authenticator
from ringback.api.catalog import Catalog
from ringback.api.figures import Figures
from ringback.api.keeping import Uploads
from ringback.api.service import Service
from ringback.api.wire import HookRules
from ringback.assembly import (
    asking,
    control,
    delivering,
    keeping,
    listening,
    offering,
    opening,
    operator,
    working,
)
from ringback.assembly.clock import steady
from ringback.assembly.config import Config
from ringback.assembly.data import DataFolder
from ringback.assembly.greeting import greet, greet_token
from ringback.assembly.lineup import Lineup
from ringback.assembly.world import World
from ringback.deliver.dispatcher import Dispatcher
from ringback.deliver.egress import Egress, EgressSettings
from ringback.deliver.housekeeping import keep_tidy
from ringback.deliver.sample import Samples
from ringback.rules.retry import SECOND
from ringback.rules.snapshot import Links
from ringback.store.database import Database
from ringback.store.outbox import Outbox
from ringback.store.signing_keys import Keyring
from ringback.store.watchers import Watchers
from ringback.words.clock import SteadyClock
from ringback.words.ids import PredictionIds, unguessable
from ringback.words.signature import Signer
from ringback.work.deadlines import Deadlines
from ringback.work.files import FileStore
from ringback.work.inputs import InputFiles
from ringback.work.run import Desk
from ringback.work.worker import Worker

log = logging.getLogger(__name__)

_SWITCH_INTERVAL_S = 1e-4
"""At Python's default of 5 ms an event loop that is never idle starves the writer's thread."""

_GC_THRESHOLD = 20_000
"""Allocations between collections: Python's 700 is a collection every few requests."""


async def serve(config: Config, world: World) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        SetupError: it can't be started; nothing is left running.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    async with contextlib.AsyncExitStack() as stack:
        data = DataFolder(config.server.data)
        stack.callback(data.close)
        socket = listening.bound(config.server)
        stack.callback(socket.close)
        house = await _built(config, world, stack, data, listening.base_of(config.server, socket))
        app = _application(config, world, house)
        dispatching = asyncio.create_task(house.dispatcher.run())
        await house.worker.start()
        token = await opening.first_token(house.database, house.account, world)
        gc.freeze()  # what is loaded by now stays: no collection needs to look at it again
        gc.set_threshold(_GC_THRESHOLD)
        listening.listen(socket)  # so that whoever reads the greeting can connect
        greet(world.say, config.server, house.outbox.links, data, house.worker.served)
        greet_token(world.say, made=token, given=world.token is not None)
        # Requests that wait for a prediction are answered at once then, and streams end.
        async with control.answering(data.folder, partial(operator.carry, _premises(world, house))):
            await listening.answer(app, socket, config.server, stopping=house.watchers.close)
        log.info("stopping: running predictions may go on for %g s", config.server.drain_s)
        await house.worker.drain(config.server.drain_s)
        await house.dispatcher.drain(config.egress.timeout_s + EgressSettings().excerpt_s)
        await dispatching


@dataclass(frozen=True, slots=True)
class _House:
    """The parts of a server, once they are made."""

    clock: SteadyClock
    figures: Figures
    database: Database
    account: str
    authenticator: Authenticator
    keyring: Keyring | None
    egress: Egress
    dispatcher: Dispatcher
    outbox: Outbox
    catalog: Catalog
    blobs: FileStore
    uploads: Uploads
    worker: Worker
    lineup: Lineup
    deadlines: Deadlines
    watchers: Watchers


async def _built(
    config: Config, world: World, stack: contextlib.AsyncExitStack, data: DataFolder, base: str
) -> _House:
    """Make the parts, each on what stands already, and take over what a former server held."""
    clock = steady(world.clock, world.boot)
    figures = Figures(config.models, access=config.server.metrics)
    database = await stack.enter_async_context(opening.opened(data, clock, world, figures.write_refused))
    account = await opening.first_account(database, world.entropy)
    links = Links(base, await opening.server_key(database, world, "streams"))
    keyring = await delivering.keyring(config, database, clock, world)
    egress = delivering.egress(config, world)
    stack.push_async_callback(egress.close)
    notifier = delivering.notifier(config, database, egress, clock, world, account, _keys(keyring))
    window_s, tells = config.webhooks.retry_window_s, bool(config.webhooks.operator_url)
    await stack.enter_async_context(_beside(keep_tidy(database, window_s, tells=tells)))
    if tells:
        await stack.enter_async_context(_beside(notifier.run()))
    holder = f"serve_{unguessable(world.entropy, 10)}"
    dispatcher = Dispatcher(
        database,
        egress,
        delivering.dispatch_settings(config, links),
        holder=holder,
        clock=clock,
        jitter=world.jitter,
        wall=world.clock,
        observer=figures,
        noticed=notifier.wake,
        keys=_keys(keyring),
    )
    throttle_us = int(config.webhooks.throttle_s * SECOND)
    watchers = Watchers()
    outbox = Outbox(database, dispatcher, throttle_us, links, figures.reached, watchers.changed)
    blobs = FileStore(data.files, world.entropy)
    sent = await keeping.opened(data, database)
    await stack.enter_async_context(_beside(sent.keep_tidy()))
    inputs = InputFiles(keeping.input_rules(config), blobs, links, sent)
    stack.push_async_callback(inputs.close)
    catalog = Catalog(database, world.monotonic)
    desk = Desk(outbox, clock, blobs, inputs, data.scratch, trained=catalog.forget)
    worker = working.worker(config, data, desk, holder)
    stack.push_async_callback(worker.drain, 0.0)
    await worker.load()
    lineup = Lineup(config, data, worker, database, catalog.forget)
    await lineup.restore()
    await working.recover(database, holder, worker, blobs)
    deadlines = Deadlines(outbox, clock, worker.cancel)
    await stack.enter_async_context(_beside(deadlines.run()))
    return _House(
        clock,
        figures,
        database,
        account,
        asking.authenticator(config, world, database, account),
        keyring,
        egress,
        dispatcher,
        outbox,
        catalog,
        blobs,
        await keeping.uploads(config, database, world, sent),
        worker,
        lineup,
        deadlines,
        watchers,
    )


def _application(config: Config, world: World, house: _House) -> ASGIApp:
    return application(
        Service(
            outbox=house.outbox,
            links=house.outbox.links,
            deadlines=house.deadlines,
            watchers=house.watchers,
            runners=house.worker,
            blobs=house.blobs,
            uploads=house.uploads,
            catalog=house.catalog,
            authenticator=house.authenticator,
            hooks=HookRules(
                delivering.address_rules(config),
                frozenset(config.webhooks.default_events),  # type: ignore[arg-type] # checked by config
            ),
            samples=Samples(house.egress, world.clock, world.monotonic, _keys(house.keyring)),
            ids=PredictionIds(world.entropy),
            entropy=world.entropy,
            clock=house.clock,
            figures=house.figures,
            overlap_s=config.webhooks.secret_overlap_s,
            resend_per_s=config.webhooks.resend_per_s,
            keyring=house.keyring,
            body_limit=config.server.body_limit,
            hardware=offering.hardware(config),
            collections=offering.collections(config),
            in_flight=lambda: house.dispatcher.in_flight,
        ),
        asking.forwarded(config),
        config.server.cors_origins,
    )


def _premises(world: World, house: _House) -> operator.Premises:
    return operator.Premises(house.database, world.entropy, house.authenticator.forget, house.lineup)


def _keys(keyring: Keyring | None) -> Callable[[], Sequence[Signer]]:
    return tuple if keyring is None else keyring.signing


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something endless beside the rest, and stop it at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
