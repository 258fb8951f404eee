"""Settings: what can be configured, read from a TOML file and the command line, each checked by name.

Each section is a module in settings/.
"""

import itertools
import tomllib
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from ringback.assembly.settings import (
    collections,
    egress,
    files,
    hardware,
    limits,
    models,
    reading,
    server,
    webhooks,
)
from ringback.assembly.settings.collections import CollectionConfig
from ringback.assembly.settings.egress import EgressConfig
from ringback.assembly.settings.files import FilesConfig, InputsConfig
from ringback.assembly.settings.hardware import CPU, HardwareConfig
from ringback.assembly.settings.limits import LimitConfig
from ringback.assembly.settings.models import ModelConfig
from ringback.assembly.settings.reading import known, must_hold, section
from ringback.assembly.settings.server import ServerConfig
from ringback.assembly.settings.webhooks import WebhookConfig
from ringback.rules.address import Network
from ringback.words.errors import SetupError

__all__ = (
    "CollectionConfig",
    "Config",
    "EgressConfig",
    "FilesConfig",
    "HardwareConfig",
    "InputsConfig",
    "LimitConfig",
    "ModelConfig",
    "ServerConfig",
    "WebhookConfig",
    "check",
    "checked_model",
    "parse_config",
    "read_config",
)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    models: dict[str, ModelConfig] = field(default_factory=dict)
    server: ServerConfig = field(default_factory=ServerConfig)
    webhooks: WebhookConfig = field(default_factory=WebhookConfig)
    egress: EgressConfig = field(default_factory=EgressConfig)
    files: FilesConfig = field(default_factory=FilesConfig)
    inputs: InputsConfig = field(default_factory=InputsConfig)
    limits: LimitConfig = field(default_factory=LimitConfig)
    collections: dict[str, CollectionConfig] = field(default_factory=dict)
    hardware: dict[str, HardwareConfig] = field(default_factory=dict)

    @property
    def allowed_networks(self) -> tuple[Network, ...]:
        """`egress.allow`, parsed (checked when it was read)."""
        return tuple(ip_network(text, strict=False) for text in self.egress.allow)

    @property
    def trusted_proxies(self) -> tuple[Network, ...]:
        """`server.trusted_proxies`, parsed (checked when it was read)."""
        return tuple(ip_network(text, strict=False) for text in self.server.trusted_proxies)


_SECTIONS: dict[str, type] = {
    "server": ServerConfig,
    "webhooks": WebhookConfig,
    "egress": EgressConfig,
    "files": FilesConfig,
    "inputs": InputsConfig,
    "limits": LimitConfig,
}


def read_config(path: Path) -> Config:
    """Read a configuration file.

    Raises:
        SetupError: it can't be read, or something in it is wrong; names the key.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"can't read the configuration {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path} is not TOML: {error}") from None
    return parse_config(document, str(path), path.parent.absolute())


def parse_config(document: dict[str, Any], where: str, folder: Path) -> Config:
    """Check a configuration document.

    Args:
        document: the parsed TOML.
        where: its name, for error messages.
        folder: what model folders are relative to.

    Raises:
        SetupError: something in it is wrong; names the key.
    """
    known(document, [*_SECTIONS, "models", "collections", "hardware"], where)
    sections = {
        name: section(kind, document.get(name, {}), f"{where}: {name}") for name, kind in _SECTIONS.items()
    }
    tables = document.get("models", {})
    if not isinstance(tables, dict):
        raise SetupError(f'{where}: models: expected tables such as [models."owner/name"]')
    config = Config(
        models={name: _model(table, f'{where}: models."{name}"', folder) for name, table in tables.items()},
        collections=reading.sections(
            CollectionConfig, document.get("collections", {}), f"{where}: collections"
        ),
        hardware=reading.sections(HardwareConfig, document.get("hardware", {}), f"{where}: hardware"),
        **sections,
    )
    check(config, where)
    return config


def _model(table: Any, where: str, folder: Path) -> ModelConfig:
    if isinstance(table, str):
        table = {"dir": table}
    if isinstance(table, dict) and "dir" not in table:
        raise SetupError(f"{where}: dir is missing: the folder with cog.yaml")
    model: ModelConfig = section(ModelConfig, table, where)
    # A path (but not a bare name, which is looked up) is relative to the configuration file, as `dir` is.
    python = str(folder / model.python) if "/" in model.python else model.python
    return replace(model, dir=str(folder / model.dir), python=python)


def checked_model(name: str, table: Any, where: str, folder: Path) -> ModelConfig:
    """Check a model's table by itself.

    Args:
        name: owner/name.
        table: its settings, or its folder.
        where: where they come from, for error messages.
        folder: what its paths are relative to.

    Raises:
        SetupError: something in it is wrong; names the key.
    """
    model = _model(table, f'{where}: models."{name}"', folder)
    must_hold(models.rules(name, model), where)
    return model


def check(config: Config, where: str) -> None:
    """Check what no type can say.

    Args:
        config: the settings.
        where: where they come from, for error messages.

    Raises:
        SetupError: one is out of its range; names it.
    """
    must_hold(
        itertools.chain(
            server.rules(config.server),
            webhooks.rules(config.webhooks),
            egress.rules(config.egress),
            limits.rules(config.limits),
            files.rules(config.files, config.inputs),
            *(hardware.rules(sku, each) for sku, each in config.hardware.items()),
            *(models.rules(name, model) for name, model in config.models.items()),
            (_runs_on(config, name, model) for name, model in config.models.items()),
            *(collections.rules(slug, each) for slug, each in config.collections.items()),
        ),
        where,
    )


def _runs_on(config: Config, name: str, model: ModelConfig) -> reading.Rule:
    known_ones = {CPU, *config.hardware}
    return model.hardware in known_ones, f'models."{name}".hardware: there is no [hardware.{model.hardware}]'
