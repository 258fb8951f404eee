"""docs/configuration.md names every setting, with its true default, and none that does not exist."""

import dataclasses
import inspect
import tomllib
from typing import Any

import pytest

from docs.pages import rows, section
from ringback.assembly.cli import serve_command
from ringback.assembly.config import (
    CollectionConfig,
    EgressConfig,
    FilesConfig,
    HardwareConfig,
    InputsConfig,
    LimitConfig,
    ModelConfig,
    ServerConfig,
    WebhookConfig,
)

SECTIONS = {
    "server": ServerConfig,
    "webhooks": WebhookConfig,
    "egress": EgressConfig,
    "limits": LimitConfig,
    "files": FilesConfig,
    "inputs": InputsConfig,
    "models": ModelConfig,
    "collections": CollectionConfig,
    "hardware": HardwareConfig,
}


def documented(name: str) -> dict[str, str]:
    return {row[0].strip("`"): row[1] for row in rows(section("configuration.md", f"## `[{name}]`"))}


def defaults(kind: Any) -> dict[str, Any]:
    return {
        each.name: each.default_factory()
        if each.default_factory is not dataclasses.MISSING
        else "required"
        if each.default is dataclasses.MISSING
        else each.default
        for each in dataclasses.fields(kind)
    }


@pytest.mark.parametrize("name", SECTIONS)
def test_each_setting_is_documented_and_each_documented_one_exists(name: str) -> None:
    assert set(documented(name)) == set(defaults(SECTIONS[name]))


@pytest.mark.parametrize("name", SECTIONS)
def test_the_documented_defaults_are_the_real_ones(name: str) -> None:
    real = defaults(SECTIONS[name])
    for setting, cell in documented(name).items():
        told = cell if cell == "required" else tomllib.loads(f"value = {cell.strip('`')}")["value"]
        assert (told, type(told)) == (real[setting], type(real[setting])), setting


def test_the_command_line_is_documented_with_all_its_options() -> None:
    usage = section("configuration.md", "# Configuration")
    options = [
        f"--{each.name.replace('_', '-')}"
        for each in inspect.signature(serve_command).parameters.values()
        if each.kind is each.KEYWORD_ONLY
    ]
    assert options
    assert [option for option in options if f"[{option} " not in usage] == []
