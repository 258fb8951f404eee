"""`ringback token`: who may ask this server."""

from typing import Annotated

import typer

from ringback.assembly.commands.local import Data, order
from ringback.assembly.commands.options import AsJson
from ringback.assembly.commands.tables import Entry, age, as_json, say, table
from ringback.assembly.orders import ListTokens, NewToken, RevokeToken
from ringback.assembly.settings.server import ServerConfig

app = typer.Typer(help="Make, list and revoke API tokens; each belongs to an account.", no_args_is_help=True)

HERE = ServerConfig().data
Account = Annotated[str, typer.Option("--account", metavar="NAME", help="The account's username.")]


@app.command("new")
def new_command(
    *,
    account: Account = "",
    name: Annotated[str, typer.Option("--name", help="What it is for; to find it again.")] = "",
    data: Data = HERE,
) -> None:
    """Make a token, and the account if there is none of that name; print it, this once."""
    made = order(data, NewToken(account, name))
    typer.echo(made["token"])
    typer.echo(f"token {made['id']} of account {made['account']}: it is shown only this once", err=True)


@app.command("list")
def list_command(*, account: Account = "", json: AsJson = False, data: Data = HERE) -> None:
    """List the tokens, revoked ones too; never the tokens themselves."""
    found = order(data, ListTokens(account))
    if json:
        as_json(found)
    elif not found:
        say("no tokens: ringback token new makes one")
    else:
        entries = [
            Entry(
                (
                    each["id"],
                    f"{each['hint']}…" if each["hint"] else "-",
                    each["account"],
                    f"{age(each['created_at'])} ago",
                    "revoked" if each["revoked_at"] else "valid",
                    each["name"],
                )
            )
            for each in found
        ]
        table(("ID", "BEGINS", "ACCOUNT", "MADE", "STATE", "NAME"), entries)


@app.command("revoke")
def revoke_command(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")], *, data: Data = HERE
) -> None:
    """Make a token invalid for good."""
    order(data, RevokeToken(id_))
    say(f"{id_} is revoked")
