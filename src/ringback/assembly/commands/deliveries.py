"""`ringback deliveries`: what became of webhooks."""

from typing import Annotated, Any

import typer

from ringback.assembly.commands.options import HERE, AsJson, Since, TokenFile, Until, Url, moment, remote
from ringback.assembly.commands.tables import Entry, age, as_json, block, facts, say, span, table, title
from ringback.assembly.remote import CommandFailed

app = typer.Typer(help="Look at deliveries; send them again.", no_args_is_help=True)

_PAGE = 1000
_BODY, _EXCERPT = 2_000, 300
"""Characters of a body and of an answer that are printed."""


@app.command("list")
def list_command(
    *,
    prediction: Annotated[str | None, typer.Option(help="Only of this prediction.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Only to this URL (its query does not matter).")
    ] = None,
    status: Annotated[str | None, typer.Option(help="pending, delivered, superseded or dead.")] = None,
    event: Annotated[str | None, typer.Option(help="start, output, logs or completed.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    json: AsJson = False,
    url: Url = HERE,
    token_file: TokenFile = None,
) -> None:
    """List deliveries, newest first."""
    given = {
        "prediction": prediction,
        "endpoint": endpoint,
        "status": status,
        "event": event,
        "created_after": None if since is None else moment("--since", since),
        "created_before": None if until is None else moment("--until", until),
        "limit": min(limit, _PAGE),
    }
    query = {name: value for name, value in given.items() if value is not None}
    found = list(remote(url, token_file).pages("/webhooks/deliveries", query, limit))
    if json:
        as_json(found)
    elif not found:
        say("no such deliveries")
    else:
        heads = ("ID", "EVENT", "STATUS", "TRIES", "AGE")
        table(heads, [_entry(each) for each in found])


def _entry(found: dict[str, Any]) -> Entry:
    cells = (
        found["id"],
        found["event"],
        found["status"],
        str(found["attempts"]),
        age(found["created_at"]),
    )
    return Entry(cells, (found["endpoint"], _story(found)))


def _story(found: dict[str, Any]) -> str:
    """Say in a line what matters most about a delivery."""
    last = found["last_attempt"]
    told = [last["diagnosis"] if last else "", _waits(found)]
    if found["status"] == "dead" and found["reason"]:
        return str(found["reason"])
    if found["status"] in ("pending", "dead"):
        return "; ".join(part for part in told if part)
    return ""


def _waits(found: dict[str, Any]) -> str:
    next_at = found["next_attempt_at"]
    when = f"next attempt {age(next_at)}" if next_at and age(next_at).startswith("in ") else ""
    return ": ".join(part for part in (when, found["waits_for"]) if part)


@app.command("show")
def show_command(
    id_: Annotated[str, typer.Argument(metavar="ID", help="evt_…, the delivery's webhook-id.")],
    *,
    json: AsJson = False,
    url: Url = HERE,
    token_file: TokenFile = None,
) -> None:
    """Show a delivery with all its attempts."""
    found = remote(url, token_file).get(f"/webhooks/deliveries/{plain(id_)}")
    if json:
        as_json(found)
        return
    facts(
        [
            ("delivery", found["id"]),
            ("event", found["event"]),
            ("status", found["status"]),
            ("endpoint", found["endpoint"]),
            ("created", found["created_at"]),
            ("settled", found["settled_at"]),
            ("asked for again", found["asked_at"]),
            ("next attempt", found["next_attempt_at"]),
            ("waits for", found["waits_for"]),
            ("reason", found["reason"]),
            ("body", _size(found)),
        ]
    )
    _attempts(found)
    if found["body"] is not None:
        block("body", found["body"], _BODY)


def plain(id_: str) -> str:
    """Give an id as it may stand in a path: what is none is left to the server to refuse."""
    return "".join(char for char in id_ if char.isascii() and (char.isalnum() or char == "_")) or "none"


def _size(found: dict[str, Any]) -> str | None:
    if found["length"] is None:
        return None
    return f"{found['length']:,} bytes, SHA-256 {found['digest']}"


def _attempts(found: dict[str, Any]) -> None:
    past = found["history"]
    if not past:
        say("no attempt has been recorded yet")
        return
    title("attempts" if len(past) == found["attempts"] else f"the latest of {found['attempts']} attempts")
    table(("NO", "AT", "TOOK", "STATUS"), [_attempt(each) for each in past])
    excerpt = past[-1]["excerpt"]
    if excerpt:
        block("last answer", excerpt, _EXCERPT)


def _attempt(past: dict[str, Any]) -> Entry:
    cells = (
        str(past["number"]),
        past["at"],
        f"{past['duration']:.3f} s",
        str(past["status"] or past["cause"]),
    )
    marks = [
        text for mark, text in (("asked", "asked for"), ("resent", "on a second connection")) if past[mark]
    ]
    return Entry(cells, ("; ".join([past["diagnosis"] or "acknowledged", *marks]),))


@app.command("resend")
def resend_command(
    id_: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="evt_…, the delivery's webhook-id.")
    ] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Even if something newer of its prediction has been sent.")
    ] = False,
    dead: Annotated[bool, typer.Option("--dead", help="All dead ones instead of ID.")] = False,
    endpoint: Annotated[str | None, typer.Option(help="With --dead: only to this URL.")] = None,
    since: Since = None,
    until: Until = None,
    json: AsJson = False,
    url: Url = HERE,
    token_file: TokenFile = None,
) -> None:
    """Send a delivery again, or all dead ones: the same id, the same body."""
    if (id_ is None) != dead or (force and dead):
        raise CommandFailed(
            "give the ID of a delivery (and --force if you must), or --dead for all dead ones"
        )
    if not dead and (endpoint, since, until) != (None, None, None):
        raise CommandFailed("--endpoint, --since and --until go with --dead")
    server = remote(url, token_file)
    if id_ is not None:
        found = server.post(f"/webhooks/deliveries/{plain(id_)}/resend", {"force": force})
        as_json(found) if json else say(f"{found['id']} to {found['endpoint']}: {_now(found)}")
        return
    asked = {
        "endpoint": endpoint,
        "since": None if since is None else moment("--since", since),
        "until": None if until is None else moment("--until", until),
    }
    found = server.post("/webhooks/resend", {name: text for name, text in asked.items() if text is not None})
    as_json(found) if json else _tell(found)


def _now(found: dict[str, Any]) -> str:
    return _waits(found) or ("goes out now" if found["status"] == "pending" else str(found["status"]))


def _tell(found: dict[str, Any]) -> None:
    takes = f", the last of them in {span(found['takes'])}" if found["takes"] else ""
    say(f"{found['resent']} dead deliveries go out again{takes}")
    for name, why in (
        ("newer", "are left dead: something newer of their prediction has been sent"),
        ("gone", "can't be sent: their data is gone"),
        ("busy", "are left for now: another attempt of their prediction is under way; ask again in a moment"),
    ):
        if found[name]:
            say(f"{found[name]} {why}")
