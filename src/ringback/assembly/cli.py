"""The command line."""

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ringback import __version__
from ringback.assembly.commands import deliveries, endpoints, models, tokens, webhooks
from ringback.assembly.commands.tables import clean
from ringback.assembly.config import Config, ModelConfig, check, read_config
from ringback.assembly.remote import CommandFailed
from ringback.words.errors import SetupError, Unavailable

if TYPE_CHECKING:
    from ringback.assembly.world import World

_USAGE = 2
"""The exit code for what can't be started as told."""

app = typer.Typer(
    name="ringback",
    help="A self-hosted, Replicate-compatible predictions API with durable, signed webhooks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _name, _commands in (
    ("deliveries", deliveries),
    ("endpoints", endpoints),
    ("models", models),
    ("token", tokens),
    ("webhooks", webhooks),
):
    app.add_typer(_commands.app, name=_name)


def _tell_version(wanted: bool) -> None:  # noqa: FBT001 - what an option's callback is given
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command("version")
def version_command() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command("serve")
def serve_command(
    context: typer.Context,
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OWNER/NAME=DIR]...", help="Models: folders with a cog.yaml."),
    ] = None,
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (5050); 0 takes a free one.")] = None,
    data: Annotated[str | None, typer.Option(help="Folder for the data (ringback-data).")] = None,
    public_url: Annotated[str | None, typer.Option(help="How this server is reached from outside.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with these and all other settings.")
    ] = None,
) -> None:
    """Serve models: the API, the queue, the models' processes and the webhooks, in one process."""
    # Loaded only here: who asks a running server something waits a second less for the answer.
    import uvloop  # noqa: PLC0415

    from ringback.assembly.serve import serve  # noqa: PLC0415
    from ringback.assembly.world import World  # noqa: PLC0415

    settings = Config() if config is None else read_config(config)
    given: dict[str, Any] = {"host": host, "port": port, "data": data, "public_url": public_url}
    server = replace(settings.server, **{name: value for name, value in given.items() if value is not None})
    named = dict(_model(text) for text in models or [])
    settings = replace(settings, server=server, models={**settings.models, **named})
    check(settings, "command line")
    _log_to_stderr(server.log_level)
    world = context.obj or World(token=os.environ.get("REPLICATE_API_TOKEN") or None)
    try:
        uvloop.run(serve(settings, world))
    except Unavailable as error:
        raise SetupError(
            f"can't write to the data folder {server.data}: {error.detail}; is there room on its disk?"
        ) from error


def _model(text: str) -> tuple[str, ModelConfig]:
    name, sign, folder = text.partition("=")
    if not sign or not folder:
        raise SetupError(f"model {text!r}: expected OWNER/NAME=DIR")
    return name, ModelConfig(folder)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    # Its comings and goings are ours to tell, and anybody can cause its warnings.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def main(world: "World | None" = None) -> None:
    """Run the command line; what can't be started or done is one line, and an exit code that tells which.

    Args:
        world: what `serve` takes from outside, if that is not the real world.
    """
    try:
        app(obj=world)
    except SetupError as error:
        typer.echo(f"ringback: {error}", err=True)
        sys.exit(_USAGE)
    except CommandFailed as error:
        typer.echo(f"ringback: {clean(str(error))}", err=True)
        sys.exit(error.code)
