"""A model to serve and how, and the folder that a version of it is run in."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ringback.store import models, versions
from ringback.store.database import Database, Tx
from ringback.store.models import MadeBy
from ringback.words.json import canonical
from ringback.work import training
from ringback.work.advice import advice
from ringback.work.model import Model, read_model, restore, unchanged
from ringback.work.pace import ReplicaSettings, Scale

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """A model to serve and how.

    Attributes:
        model: what was read from its folder.
        python: the interpreter that runs it.
        timeout_s: how long a prediction may run.
        rerun: what happens to a prediction whose worker died: never, unpublished or always.
        scale: how many replicas it has, on what.
        pinned: the version's id, if it is given and not made from the sources.
        made_by: who said that it is to be served: configuration or command.
        settings: of a command: JSON, as a table of the configuration.
        train_timeout_s: how long a training may run.
    """

    model: Model
    python: str
    timeout_s: float = 1800.0
    rerun: str = "unpublished"
    scale: Scale = field(default_factory=Scale)
    pinned: str = ""
    made_by: MadeBy = "configuration"
    settings: str = "{}"
    train_timeout_s: float = 86_400.0

    def read_again(self) -> "Served":
        """Give it with what its folder holds now.

        Raises:
            SetupError: something is missing or wrong, in one line.
        """
        model = self.model
        return replace(self, model=read_model(model.name, model.folder, self.pinned or None, model.without))

    def run_in(self, settings: ReplicaSettings) -> ReplicaSettings:
        """Give the settings with what is the same for all its versions."""
        limit = self.train_timeout_s if settings.mode == "train" else self.timeout_s
        return replace(settings, python=self.python, timeout_s=limit, rerun=self.rerun)


async def described(item: Served, document: dict[str, Any], scratch: Path) -> str:
    """Give the OpenAPI document to register, its training's part included, as canonical JSON.

    What the model's author should know of it is logged.

    Raises:
        RunnerError: what trains it can't be imported.
    """
    model = item.model
    if model.train:
        trains = await training.described(item.python, model.folder, model.train, scratch)
        document = training.merged(document, trains)
    for line in await asyncio.to_thread(advice, model, document):
        log.warning("[%s] %s", model.name, line)
    return canonical(document).decode()


async def register(tx: Tx, item: Served, document: str) -> None:
    """Keep the model and its version, with its sources."""
    model = item.model
    await versions.register(
        tx, model.version, model.name, model.entry, document, model.sources, train=model.train
    )
    await models.register(tx, model.name, item.made_by, item.settings, item.scale.hardware)


class Sources:
    """Folders with exactly the files of a version."""

    def __init__(self, database: Database, kept: Path) -> None:
        """Take where the files are kept, and the folder to restore them to."""
        self._database = database
        self._kept = kept

    async def served(self, model: Model) -> Path:
        """Give a model's own folder if nobody has edited it, else the kept copy.

        Raises:
            OSError: a file can't be put in place.
        """
        if await asyncio.to_thread(unchanged, model):
            return model.folder
        log.warning(
            "[%s] its folder has changed since it was loaded: going on with the version that was registered. "
            "`ringback models reload` serves the new one",
            model.name,
        )
        return await self.restored(model.version)

    async def restored(self, version: str) -> Path:
        """Give a folder with the kept files of a version.

        Raises:
            OSError: a file can't be put in place.
        """
        files = await self._database.read(lambda tx: versions.sources(tx, version))
        folder = self._kept / version
        await asyncio.to_thread(restore, files, folder)
        return folder
