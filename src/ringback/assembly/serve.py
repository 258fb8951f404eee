"""Everything in one process: the API, the worker, the dispatcher, on one data folder.

The only module that knows everybody. It hands each part what it needs and starts and stops them in order.
"""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from ringback.api.app import application
from ringback.api.auth import Authenticator
from ringback.api.catalog import Catalog
from ringback.api.service import Service
from ringback.api.wire import HookRules
from ringback.assembly.config import Config, ServerConfig
from ringback.assembly.data import DataFolder
from ringback.assembly.greeting import EVERYWHERE, greet, greet_token
from ringback.deliver.dispatcher import Dispatcher, DispatchSettings
from ringback.deliver.egress import Egress, EgressSettings
from ringback.rules.address import AddressRules
from ringback.rules.retry import SECOND, Schedule
from ringback.rules.snapshot import Links
from ringback.store import accounts, files, lanes
from ringback.store.database import Database
from ringback.store.migrations import migrate_sqlite
from ringback.store.outbox import Outbox
from ringback.store.sqlite import Sqlite
from ringback.words.errors import SetupError
from ringback.words.ids import Entropy, PredictionIds, digest, unguessable
from ringback.words.signature import new_secret
from ringback.work.files import FileStore
from ringback.work.inputs import InputFiles, InputRules
from ringback.work.model import read_model
from ringback.work.run import Desk
from ringback.work.worker import Served, Worker

log = logging.getLogger(__name__)

_SWITCH_INTERVAL_S = 1e-4
"""At Python's default of 5 ms an event loop that is never idle starves the writer's thread."""


_GC_THRESHOLD = 20_000
"""Allocations between collections: Python's 700 is a collection every few requests."""

_BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class World:
    """What comes from outside: time, randomness, the environment.

    Attributes:
        clock: the wall clock, microseconds since the epoch.
        monotonic: a clock that never steps, seconds.
        entropy: random bytes.
        jitter: random numbers in [-1, 1].
        token: a token that is always accepted (REPLICATE_API_TOKEN), or None.
        before_commit: called by the writer's thread before each commit; for crash tests.
        say: prints a line for the person who started the server.
    """

    clock: Callable[[], int] = lambda: time.time_ns() // 1000
    monotonic: Callable[[], float] = time.monotonic
    entropy: Entropy = os.urandom
    jitter: Callable[[], float] = lambda: random.uniform(-1, 1)  # noqa: S311 - spreads retries, guards nothing
    token: str | None = None
    before_commit: Callable[[int], None] | None = None
    say: Callable[[str], None] = lambda line: print(line, flush=True)  # noqa: T201 - it is for a person


async def serve(config: Config, world: World) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        SetupError: it can't be started; nothing is left running.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    async with contextlib.AsyncExitStack() as stack:
        data = DataFolder(config.server.data)
        stack.callback(data.close)
        listening = _listen(config.server)
        stack.callback(listening.close)
        links = Links(_base(config.server, listening))
        database = await stack.enter_async_context(_database(data, world))
        account = await _account(database, world)
        egress = _egress(config)
        stack.push_async_callback(egress.close)
        holder = f"serve_{unguessable(world.entropy, 10)}"
        dispatcher = Dispatcher(
            database,
            egress,
            _dispatch_settings(config, links),
            holder=holder,
            clock=world.clock,
            jitter=world.jitter,
        )
        outbox = Outbox(database, dispatcher, int(config.webhooks.throttle_s * SECOND), links)
        blobs = FileStore(data.files, world.entropy)
        inputs = InputFiles(InputRules(_address_rules(config)), blobs, links)
        stack.push_async_callback(inputs.close)
        worker = _worker(config, data, Desk(outbox, world.clock, blobs, inputs, data.scratch), holder)
        stack.push_async_callback(worker.drain, 0.0)
        await worker.load()
        await _recover(database, holder, worker, blobs)
        latest = [(item.model.name, item.model.version) for item in worker.served]
        app = application(
            Service(
                outbox=outbox,
                runners=worker,
                blobs=blobs,
                catalog=Catalog(database, latest),
                authenticator=Authenticator(database, world.monotonic, account=account, accepted=world.token),
                hooks=HookRules(_address_rules(config), frozenset(config.webhooks.default_events)),  # type: ignore[arg-type] # checked by config
                ids=PredictionIds(world.entropy),
                entropy=world.entropy,
                clock=world.clock,
                overlap_s=config.webhooks.secret_overlap_s,
                body_limit=config.server.body_limit,
                in_flight=lambda: dispatcher.in_flight,
            )
        )
        dispatching = asyncio.create_task(dispatcher.run())
        await worker.start()
        token = await _first_token(database, account, world)
        gc.freeze()  # what is loaded by now stays: no collection needs to look at it again
        gc.set_threshold(_GC_THRESHOLD)
        listening.listen(_BACKLOG)  # so that whoever reads the greeting can connect
        greet(world.say, config.server, links, data, worker.served)
        greet_token(world.say, made=token, given=world.token is not None)
        await _http(app, listening, config.server)
        log.info("stopping: running predictions may go on for %g s", config.server.drain_s)
        await worker.drain(config.server.drain_s)
        await dispatcher.drain(config.egress.timeout_s + EgressSettings().excerpt_s)
        await dispatching


def _listen(server: ServerConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((server.host, server.port))
    except OSError as error:
        listening.close()
        raise SetupError(
            f"can't listen on {server.host}:{server.port}: {error.strerror}; give another port with --port"
        ) from None
    return listening


def _base(server: ServerConfig, listening: socket.socket) -> str:
    if server.public_url:
        return server.public_url.rstrip("/")
    host, port = listening.getsockname()[:2]
    host = EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _address_rules(config: Config) -> AddressRules:
    """Loopback is allowed to a server that only its own machine can reach."""
    try:
        is_local = ipaddress.ip_address(config.server.host).is_loopback
    except ValueError:
        is_local = config.server.host == "localhost"
    return AddressRules(is_local and not config.server.public_url, config.allowed_networks)


@contextlib.asynccontextmanager
async def _database(data: DataFolder, world: World) -> AsyncIterator[Database]:
    migrate_sqlite(data.database)
    database = Sqlite(data.database, world.clock, before_commit=world.before_commit)
    try:
        yield database
    finally:
        await database.close()


async def _account(database: Database, world: World) -> str:
    account = await database.read(accounts.default)
    if account is not None:
        return account
    made, secret_id = f"acct_{unguessable(world.entropy, 10)}", unguessable(world.entropy, 10)
    secret = new_secret(world.entropy)
    await database.write(
        lambda tx: accounts.create(tx, id=made, username="ringback", secret_id=secret_id, secret=secret)
    )
    return made


async def _first_token(database: Database, account: str, world: World) -> str | None:
    """Make a token if there is none. Only once all else has started: it is shown once, in the greeting."""
    if world.token is not None or await database.read(lambda tx: accounts.has_token(tx, account)):
        return None
    token = f"r8_{unguessable(world.entropy, 24)[:37]}"  # the form and length of Replicate's own
    await database.write(lambda tx: accounts.add_token(tx, account, digest(token), "first start"))
    return token


def _egress(config: Config) -> Egress:
    ca_file = Path(config.egress.ca_file) if config.egress.ca_file else None
    settings = EgressSettings(
        timeout_s=config.egress.timeout_s, ca_file=ca_file, proxy=config.egress.proxy or None
    )
    return Egress(settings, _address_rules(config))


def _dispatch_settings(config: Config, links: Links) -> DispatchSettings:
    webhooks = config.webhooks
    return DispatchSettings(
        links,
        webhooks.in_flight,
        webhooks.in_flight_per_origin,
        Schedule(
            base_s=webhooks.retry_base_s,
            cap_s=webhooks.retry_cap_s,
            jitter=webhooks.retry_jitter,
            window_s=webhooks.retry_window_s,
        ),
    )


def _worker(config: Config, data: DataFolder, desk: Desk, holder: str) -> Worker:
    served = [
        Served(
            read_model(name, Path(model.dir), model.version or None, data.folder),
            model.python or sys.executable,
            model.timeout_s,
            model.rerun,
        )
        for name, model in config.models.items()
    ]
    return Worker(
        desk,
        served,
        holder=holder,
        kept=data.versions,
        python=sys.executable,
        cancel_grace_s=config.server.cancel_grace_s,
    )


async def _recover(database: Database, holder: str, worker: Worker, blobs: FileStore) -> None:
    """Take over at once what the former server held: the data folder's lock proves that it is dead."""
    freed = await database.write(lambda tx: lanes.recover(tx, holder))
    if freed:
        log.info("recovered %d deliveries whose attempts were cut off: they go out again", freed)
    await worker.recover()
    known = await database.read(files.ids)
    await asyncio.to_thread(blobs.sweep, known)


async def _http(app: object, listening: socket.socket, server: ServerConfig) -> None:
    """Answer requests until a signal comes; a second one ends the waiting for those under way."""
    settings = uvicorn.Config(
        app,  # type: ignore[arg-type] # an ASGI application, in uvicorn's own words
        log_config=None,
        access_log=False,
        ws="none",
        http="httptools",
        proxy_headers=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=max(1, int(server.drain_s)),
        backlog=_BACKLOG,
    )
    http = uvicorn.Server(settings)
    # uvicorn's own handlers raise the signal again after the shutdown; ours goes on to drain.
    http.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]

    def stop() -> None:
        http.force_exit = http.should_exit
        http.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await http.serve(sockets=[listening])
