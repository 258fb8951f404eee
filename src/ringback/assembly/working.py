"""The parts that run predictions, made from the configuration, and what a start takes over."""

import asyncio
import logging
import sys
from pathlib import Path

from ringback.assembly.config import Config, ModelConfig
from ringback.assembly.data import DataFolder
from ringback.store import files, settlements
from ringback.store.database import Database
from ringback.work.devices import Devices
from ringback.work.files import FileStore
from ringback.work.model import read_model
from ringback.work.pace import Scale
from ringback.work.run import Desk
from ringback.work.served import Served
from ringback.work.worker import Worker

log = logging.getLogger(__name__)


def served(name: str, model: ModelConfig, data: DataFolder) -> Served:
    """Read a model's folder, to be served as its settings say.

    Raises:
        SetupError: it can't be read.
    """
    return Served(
        read_model(name, Path(model.dir), model.version or None, data.folder),
        model.python or sys.executable,
        model.timeout_s,
        model.rerun,
        Scale(model.min_replicas, model.max_replicas, model.idle_s, model.hardware),
        model.version,
        train_timeout_s=model.train_timeout_s,
    )


def worker(config: Config, data: DataFolder, desk: Desk, holder: str) -> Worker:
    """Make the worker with the models of the configuration.

    Raises:
        SetupError: a model can't be read.
    """
    return Worker(
        desk,
        [served(name, model, data) for name, model in config.models.items()],
        holder=holder,
        kept=data.versions,
        python=sys.executable,
        cancel_grace_s=config.server.cancel_grace_s,
        devices=Devices({sku: each.devices for sku, each in config.hardware.items()}),
    )


async def recover(database: Database, holder: str, runs: Worker, blobs: FileStore) -> None:
    """Take over at once what the former server held: the data folder's lock proves that it is dead."""
    freed = await database.write(lambda tx: settlements.recover(tx, holder))
    if freed:
        log.info("recovered %d deliveries whose attempts were cut off: they go out again", freed)
    await runs.recover()
    known = await database.read(files.ids)
    await asyncio.to_thread(blobs.sweep, known)
