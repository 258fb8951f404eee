"""`ringback models`: what a running server serves."""

import tomllib
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from ringback.assembly.commands.local import Data, order
from ringback.assembly.commands.options import AsJson
from ringback.assembly.commands.tables import Entry, as_json, say, table
from ringback.assembly.orders import AddModel, ListModels, MarkExample, ReloadModel, RemoveModel
from ringback.assembly.remote import CommandFailed
from ringback.assembly.settings.server import ServerConfig

app = typer.Typer(
    help="Add models to a running server, take them away, load them anew.", no_args_is_help=True
)

HERE = ServerConfig().data
Name = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The model.")]


class Action(Enum):
    """What becomes of an example."""

    add = "add"
    remove = "remove"


@app.command("add")
def add_command(
    models: Annotated[
        list[str], typer.Argument(metavar="OWNER/NAME=DIR...", help="Folders with a cog.yaml.")
    ],
    *,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SETTING=VALUE", help=r"A setting of \[models], as in the configuration."
        ),
    ] = None,
    data: Data = HERE,
) -> None:
    """Serve models from now on, after a restart too."""
    settings = dict(_setting(text) for text in set_ or [])
    if "/" in str(settings.get("python", "")):  # the server may have been started elsewhere
        settings["python"] = str(Path(str(settings["python"])).absolute())
    for text in models:
        name, _, folder = text.partition("=")
        if not folder:
            raise CommandFailed(f"model {text!r}: expected OWNER/NAME=DIR")
        order(data, AddModel(name, {**settings, "dir": str(Path(folder).absolute())}))
        say(f"{name} is served")


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value  # a text without quotes: a shell takes them away


@app.command("list")
def list_command(*, json: AsJson = False, data: Data = HERE) -> None:
    """List the models that are served."""
    found = order(data, ListModels())
    if json:
        as_json(found)
    elif not found:
        say("no models: ringback models add OWNER/NAME=DIR")
    else:
        heads = ("MODEL", "VERSION", "LATEST", "RUNNING", "WAITING", "FROM", "FOLDER")
        table(heads, [_entry(each) for each in found])


def _entry(found: dict[str, Any]) -> Entry:
    running = f"{found['running']}/{found['max_replicas']}"
    return Entry(
        (
            found["name"],
            found["version"][:12],
            "same" if found["latest"] == found["version"] else found["latest"][:12],
            running,
            str(found["waiting"]),
            found["made_by"],
            found["folder"],
        )
    )


@app.command("remove")
def remove_command(name: Name, *, data: Data = HERE) -> None:
    """Serve a model no longer; what waits for it still runs."""
    order(data, RemoveModel(name))
    say(f"{name} is served no longer")


@app.command("reload")
def reload_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[OWNER/NAME]...", help="All, if none.")
    ] = None,
    *,
    data: Data = HERE,
) -> None:
    """Read models' folders anew; nothing that runs or waits fails."""
    for name in names or [""]:
        for loaded, found in order(data, ReloadModel(name)).items():
            say(_reloaded(loaded, found["version"], found["latest"]))


def _reloaded(name: str, version: str, latest: str) -> str:
    if latest == version:
        return f"{name} is served as version {version}"
    return (
        f"{name} is unchanged, version {version}; {name} means {latest[:12]}…, made by a training:"
        " change the folder or delete that version to go back"
    )


@app.command("example")
def example_command(
    action: Annotated[Action, typer.Argument(help="Mark it, or take the mark away.")],
    prediction: Annotated[
        str, typer.Argument(metavar="PREDICTION", help="The id of one that has succeeded.")
    ],
    *,
    data: Data = HERE,
) -> None:
    """Mark a prediction as an example of its model: whoever sees the model then sees it."""
    order(data, MarkExample(action.value, prediction))
    say(f"{prediction} is {'an example' if action is Action.add else 'no example any more'}")
