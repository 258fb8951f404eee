"""`ringback webhooks`: try an address, see how old the secrets are."""

from typing import Annotated, Any

import typer

from ringback.assembly.commands.options import HERE, AsJson, TokenFile, Url, remote
from ringback.assembly.commands.tables import Entry, age, as_json, block, facts, say, table, title
from ringback.assembly.remote import NOT_DONE

app = typer.Typer(help="Try a webhook; see its secrets' ages.", no_args_is_help=True)

_EXCERPT = 1_000
"""Characters of an answer that are printed."""


@app.command("test")
def try_command(
    target: Annotated[str, typer.Argument(metavar="URL", help="Where to send it.")],
    *,
    event: Annotated[str, typer.Option(help="start, output, logs or completed.")] = "completed",
    model: Annotated[
        str | None, typer.Option(help="OWNER/NAME: a prediction as this model makes them.")
    ] = None,
    json: AsJson = False,
    url: Url = HERE,
    token_file: TokenFile = None,
) -> None:
    """Send one signed test webhook to URL and say what came of it; exit code 1 if it was not acknowledged."""
    body = {"url": target, "event": event, **({} if model is None else {"model": model})}
    found = remote(url, token_file).post("/webhooks/test", body)
    if json:
        as_json(found)
    else:
        _tell(found)
    if not found["delivered"]:
        raise typer.Exit(NOT_DONE)


def _tell(found: dict[str, Any]) -> None:
    said = (
        f"acknowledged with {found['status']}"
        if found["delivered"]
        else f"not delivered: {found['diagnosis']}"
    )
    say(f"{said} ({found['duration']:.3f} s)", "green" if found["delivered"] else "red")
    title("sent")
    facts([(name, value) for name, value in found["request"]["headers"].items()])
    title("body")
    say(found["request"]["body"])
    if found["excerpt"]:
        block("answer", found["excerpt"], _EXCERPT)


@app.command("secrets")
def secrets_command(*, json: AsJson = False, url: Url = HERE, token_file: TokenFile = None) -> None:
    """List the signing secrets by age, never their values."""
    found = remote(url, token_file).get("/webhooks/default/secrets")
    if json:
        as_json(found)
        return
    heads = ("FORM", "SIGNS", "AGE", "EXPIRES", "KEY ID")
    table(heads, [_secret(each) for each in found])


def _secret(found: dict[str, Any]) -> Entry:
    signs = "yes" if found["signs"] else "no"
    expires = "-" if found["expires_at"] is None else age(found["expires_at"])
    return Entry((found["form"], signs, age(found["created_at"]), expires, found.get("kid") or "-"))
