"""docs/operations.md names every command that asks a running server, with its options, and no other."""

import re
import shlex
from typing import Any

import typer
from typer.core import TyperGroup

from docs.pages import PAGES, rows, section
from ringback.assembly.cli import app

COMMON = {"--url", "--token-file", "--json", "--help"}
TOLD = section("operations.md", "## Asking a running server")


def commands() -> dict[str, Any]:
    """All commands that ask a running server, by their names as they are typed."""
    root: Any = typer.main.get_command(app)
    return {
        f"ringback {noun} {verb}": command
        for noun, group in root.commands.items()
        if isinstance(group, TyperGroup)
        for verb, command in group.commands.items()
    }


def options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts if name.startswith("--")}


def test_each_command_and_each_of_its_options_is_documented() -> None:
    table = [(row[0], " ".join(row)) for row in rows(TOLD)]
    for name, command in commands().items():
        noun, verb = name.rsplit(" ", 1)
        found = [whole for cell, whole in table if noun in cell and re.search(rf"\b{verb}\b", cell)]
        assert found, name
        assert [option for option in options(command) - COMMON if option not in "".join(found)] == [], name
    assert [option for option in COMMON - {"--help"} if option not in TOLD] == []


def test_each_example_is_a_command_with_options_that_it_has() -> None:
    known = commands()
    examples = [
        line
        for page in PAGES
        for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if re.match(r"ringback (?!serve)", line)
    ]
    assert len(examples) > 5
    for line in examples:
        words = shlex.split(line)
        command = known[" ".join(words[:3])]
        given = {word for word in words[3:] if word.startswith("--")}
        assert given <= options(command), line
