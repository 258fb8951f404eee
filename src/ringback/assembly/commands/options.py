"""Options that several commands have, and how times are given in them."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from ringback.assembly.remote import DEFAULT_URL, CommandFailed, Remote, token

Url = Annotated[str, typer.Option("--url", envvar="RINGBACK_URL", help="The server.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", help="A file with the API token, instead of REPLICATE_API_TOKEN."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with everything the server tells.")]
Since = Annotated[str | None, typer.Option("--since", help="Not older than: 2h, 30m, 1d or a time.")]
Until = Annotated[str | None, typer.Option("--until", help="Older than: 2h, 30m, 1d or a time.")]

HERE = DEFAULT_URL

_AGO = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def remote(url: str, token_file: Path | None) -> Remote:
    """Give the server that the options name.

    Raises:
        CommandFailed: there is no token, or the URL is none.
    """
    return Remote(url, token(token_file))


def moment(option: str, text: str, now: float | None = None) -> str:
    """Read a time: so long ago (2h), or a date with or without a time; without a zone it is local.

    Args:
        option: the option's name, for the error.
        text: what was given.
        now: seconds since the epoch; the clock's when None.

    Returns:
        RFC 3339 in UTC.

    Raises:
        CommandFailed: it is neither.
    """
    try:
        ago = _AGO.fullmatch(text)
        if ago is None:
            return _utc(datetime.fromisoformat(text))
        now_ = datetime.fromtimestamp(time.time() if now is None else now, UTC)
        return _utc(now_ - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]]))
    except (ValueError, OverflowError):
        raise CommandFailed(
            f"{option}: expected 2h, 30m, 1d or a time such as 2026-11-22T07:26, not {text!r}"
        ) from None


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
