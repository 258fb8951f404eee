"""The models that a server serves, as its operator changes them while it runs."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ringback.assembly.config import Config, ModelConfig, checked_model
from ringback.assembly.data import DataFolder
from ringback.assembly.settings.hardware import CPU
from ringback.assembly.working import served
from ringback.store import models, versions
from ringback.store.database import Database
from ringback.words import json
from ringback.words.errors import SetupError, Unavailable
from ringback.work.served import Served
from ringback.work.worker import OWN, Worker

log = logging.getLogger(__name__)


class Lineup:
    """Adds models, takes them away, loads them anew."""

    def __init__(
        self,
        config: Config,
        data: DataFolder,
        worker: Worker,
        database: Database,
        forget: Callable[[], None],
    ) -> None:
        """Take what it works with.

        Args:
            config: the configuration.
            data: the data folder, which is no source even if it lies in a model's.
            worker: what runs them.
            database: where their versions stand.
            forget: called when models or versions have changed.
        """
        self._config = config
        self._data = data
        self._worker = worker
        self._database = database
        self._forget = forget

    async def restore(self) -> None:
        """Serve again what was added by command before this start; one that can't be stops nothing."""
        for name, settings in await self._database.read(models.commanded):
            try:
                table = json.decode(settings.encode())
                await self.add(name, checked_model(name, table, "models add", Path("/")))
            except SetupError as error:
                log.error("model %s, which was added by command, is not served: %s", name, error)

    async def add(self, name: str, model: ModelConfig) -> None:
        """Serve a model from now on, and after a restart; paths of its settings are absolute.

        Raises:
            SetupError: it can't be served, or is already; nothing has changed.
        """
        if model.hardware not in {CPU, *self._config.hardware}:
            raise SetupError(f"model {name}: there is no [hardware.{model.hardware}] in the configuration")
        try:
            await self._worker.add(await asyncio.to_thread(self._commanded, name, model))
        except Unavailable as error:
            raise SetupError(f"model {name}: {error.detail}") from error
        self._forget()

    def _commanded(self, name: str, model: ModelConfig) -> Served:
        text = json.canonical(asdict(model)).decode()
        return replace(served(name, model, self._data), made_by="command", settings=text)

    async def remove(self, name: str) -> None:
        """Serve a model no longer; what waits for it still runs.

        Raises:
            SetupError: it is of the configuration, or not served.
        """
        if name in self._config.models:
            raise SetupError(
                f"model {name} is of the configuration or the command line of `ringback serve`:"
                " take it out there, and restart ringback"
            )
        await self._worker.remove(name)
        self._forget()

    async def reload(self, name: str) -> dict[str, str]:
        """Read a model's folder anew; give the `version` it holds and the model's `latest`.

        Raises:
            SetupError: it can't be: what was served goes on.
        """
        version = await self._worker.reload(name)
        self._forget()
        return {"version": version, "latest": await self._latest(name) or version}

    async def _latest(self, name: str) -> str | None:
        found = await self._database.read(lambda tx: versions.latest(tx, name))
        return None if found is None else found.id

    async def listed(self) -> list[dict[str, Any]]:
        """Give the models that are served, each with its version and how busy it is."""
        states = {(each.version, each.pool): each for each in await self._worker.state()}
        return [
            _listed(item, states[item.model.version, OWN], await self._latest(item.model.name))
            for item in self._worker.served
        ]


def _listed(item: Served, state: Any, latest: str | None) -> dict[str, Any]:
    return {
        "name": item.model.name,
        "version": item.model.version,
        "latest": latest or item.model.version,
        "running": state.running,
        "starting": state.starting,
        "max_replicas": state.most,
        "hardware": state.hardware,
        "waiting": state.waiting,
        "made_by": item.made_by,
        "folder": str(item.model.folder),
    }
