"""`ringback endpoints`: where webhooks go, and how these places are doing."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ringback.assembly.commands.options import HERE, AsJson, TokenFile, Url, remote
from ringback.assembly.commands.tables import Entry, age, as_json, say, table

app = typer.Typer(help="Look at the places where webhooks go; hold one back.", no_args_is_help=True)


@app.command("list")
def list_command(*, json: AsJson = False, url: Url = HERE, token_file: TokenFile = None) -> None:
    """List endpoints: those in trouble and those lately in use."""
    found = list(remote(url, token_file).pages("/webhooks/endpoints", {}, None))
    if json:
        as_json(found)
    elif not found:
        say("no endpoints: no prediction with a webhook yet")
    else:
        table(("STATE", "FAILURES", "WAITING", "DEAD", "ENDPOINT"), [_entry(each) for each in found])


def _entry(found: dict[str, Any]) -> Entry:
    cells = (
        found["state"],
        str(found["failures"]),
        _count(found["waiting"]),
        _count(found["dead"]),
        found["url"],
    )
    return Entry(cells, (_story(found),))


def _count(found: dict[str, Any]) -> str:
    return f"{found['count']}+" if found["more"] else str(found["count"])


def _story(found: dict[str, Any]) -> str:
    parts = []
    if found["because_of"] == "origin":
        parts.append(f"all of {found['origin']}")
    if found["paused_at"]:
        parts.append(f"paused {age(found['paused_at'])} ago")
    if found["failing_since"]:
        parts.append(f"failing for {age(found['failing_since'])}")
    next_at = found["next_attempt_at"]
    if next_at and age(next_at).startswith("in "):
        parts.append(f"next attempt {age(next_at)}")
    return "; ".join([*parts, *([found["diagnosis"]] if found["diagnosis"] else [])])


Target = Annotated[str, typer.Argument(metavar="URL", help="The endpoint; its query does not matter.")]


@app.command("pause")
def pause_command(
    target: Target, *, json: AsJson = False, url: Url = HERE, token_file: TokenFile = None
) -> None:
    """Make no attempts at an endpoint until it is resumed; what is owed to it is kept."""
    _change("pause", target, json=json, url=url, token_file=token_file)


@app.command("resume")
def resume_command(
    target: Target, *, json: AsJson = False, url: Url = HERE, token_file: TokenFile = None
) -> None:
    """End a pause: what waits goes out; an endpoint that is closed is probed at once."""
    _change("resume", target, json=json, url=url, token_file=token_file)


def _change(what: str, target: str, *, json: bool, url: str, token_file: Path | None) -> None:
    found = remote(url, token_file).post(f"/webhooks/endpoints/{what}", {"url": target})
    if json:
        as_json(found)
    else:
        waiting = f"{_count(found['waiting'])} waiting"
        say(f"{found['url']} is {found['state']}, {waiting}")
