"""What a starting server says to the person who started it."""

import shlex
from collections.abc import Callable

from ringback.assembly.config import ServerConfig
from ringback.assembly.data import DataFolder
from ringback.rules.snapshot import Links
from ringback.work.served import Served

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what to call it, not what to bind
"""Addresses that stand for all of a machine's, and the one to name instead."""


def greet(
    say: Callable[[str], None],
    server: ServerConfig,
    links: Links,
    data: DataFolder,
    served: tuple[Served, ...],
) -> None:
    """Say where it listens, where its documentation and its data are, and what it serves."""
    say(f"ringback is listening on {links.base}")
    say(f"  docs    {links.base}/docs")
    say(f"  data    {data.folder}")
    for item in served:
        say(f"  model   {item.model.name} from {item.model.folder}")
        say(f"          version {item.model.version}")
    if not served:
        where = "" if server.data == ServerConfig().data else f" --data {shlex.quote(str(data.folder))}"
        say(f"  models  none yet: ringback models add OWNER/NAME=DIR{where}")
    if server.host in EVERYWHERE and not server.public_url:
        say(f"  note    clients and receivers are told {links.base}: give --public-url if they are elsewhere")


def greet_token(say: Callable[[str], None], *, made: str | None, given: bool) -> None:
    """Say which token to use.

    Args:
        say: prints a line.
        made: a token made just now, shown this once.
        given: whether REPLICATE_API_TOKEN is set in the server's environment.
    """
    if made is not None:
        say(f"  token   {made}   (shown only this once: export REPLICATE_API_TOKEN={made})")
    elif given:
        say("  token   the one in REPLICATE_API_TOKEN")
    else:
        say("  token   the one shown at the first start (lost? ringback token new makes another)")
