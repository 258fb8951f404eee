"""Files given as inputs by URL: fetched here, under the address rules, before the predictor sees them.

The child is never given a URL to fetch or a path to open. `data:` URIs it decodes itself.
"""

import asyncio
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    NonHttpUrlClientError,
)
from yarl import URL

from ringback.net.guard import guarded_connector
from ringback.rules.address import AddressRules
from ringback.rules.file_url import file_id, is_below
from ringback.rules.snapshot import Links
from ringback.rules.url import redacted
from ringback.runner.protocol import FILE_KEY, PIECE, InputFile
from ringback.words.errors import Unavailable
from ringback.work.fetching import fetch_fault
from ringback.work.files import FileStore
from ringback.work.uploads import Sent

_PIECE = 1 << 16
_OK = 200
_FILE_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{32}")
"""What `words.ids.unguessable` makes; nothing else may become part of a path."""


class InputError(Exception):
    """An input file can't be had; the message is for the one who gave it."""


@dataclass(frozen=True, slots=True)
class InputRules:
    """Limits on input files.

    Attributes:
        addresses: where they may be fetched from.
        limit: bytes of one file.
        timeout_s: seconds for one file.
    """

    addresses: AddressRules
    limit: int = 100_000_000
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """An input file, open for reading from its start."""

    number: int
    name: str
    file: IO[bytes]

    def frames(self, prediction_id: str) -> Iterator[tuple[InputFile, bytes]]:
        """Give the messages that carry it to the runner, piece by piece."""
        piece = self.file.read(PIECE)
        while True:
            following = self.file.read(PIECE)
            yield InputFile(prediction_id, self.number, self.name, not following), piece
            if not following:
                return
            piece = following


def file_inputs(openapi_schema: dict[str, Any]) -> frozenset[str]:
    """Give the names of the inputs that are files, or lists of files, by what a child says of itself."""
    schemas = openapi_schema.get("components", {}).get("schemas", {})
    return file_properties((schemas.get("Input") or schemas.get("TrainingInput", {})).get("properties", {}))


def file_properties(properties: dict[str, Any]) -> frozenset[str]:
    """Give the names of the inputs that are files, or lists of files, by their schemas."""
    return frozenset(name for name, schema in properties.items() if _is_file(schema))


def _is_file(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(_is_file(item) for item in schema)
    if not isinstance(schema, dict):
        return False
    return schema.get("format") == "uri" or any(
        _is_file(schema[key]) for key in ("items", "anyOf", "allOf", "oneOf") if key in schema
    )


def needs_fetching(input_: dict[str, Any], names: frozenset[str]) -> bool:
    """Say whether one of the inputs `names` is given by a URL that we have to fetch."""
    return any(_is_url(input_.get(name)) for name in names)


def _is_url(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_url(item) for item in value)
    return isinstance(value, str) and value.startswith(("http://", "https://"))


class InputFiles:
    """Fetches input files."""

    def __init__(self, rules: InputRules, store: FileStore, links: Links, sent: Sent) -> None:
        """Take the limits, and where our own files are: outputs, and what people have sent.

        Call it in a running loop.
        """
        self._rules = rules
        self._store = store
        self._sent = sent
        self._base = links.base
        self._own = f"{links.base}/f/"
        self._session = ClientSession(
            connector=guarded_connector(rules.addresses),
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=rules.timeout_s),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def fetch(self, input_: dict[str, Any], names: frozenset[str], account: str) -> list[Fetched]:
        """Fetch the files of an input, and put markers in place of their URLs.

        Args:
            input_: the input, which is changed.
            names: those of it that are files.
            account: whose prediction it is: only its own files are given to it.

        Raises:
            InputError: one can't be had; says which and why.
        """
        fetched: list[Fetched] = []
        try:
            for name in sorted(names & input_.keys()):
                value = input_[name]
                if isinstance(value, list):
                    input_[name] = [await self._replaced(item, name, fetched, account) for item in value]
                else:
                    input_[name] = await self._replaced(value, name, fetched, account)
        except BaseException:
            close(fetched)
            raise
        return fetched

    async def _replaced(self, value: Any, name: str, fetched: list[Fetched], account: str) -> Any:
        if not isinstance(value, str) or not _is_url(value):
            return value
        number = len(fetched)
        fetched.append(Fetched(number, *await self._opened(value, name, account)))
        return {FILE_KEY: number}

    async def _opened(self, url: str, name: str, account: str) -> tuple[str, IO[bytes]]:
        """Give a file's own name and its bytes."""
        try:
            path = urlsplit(url).path
        except ValueError:
            raise _unusable(name) from None
        sent = await self._sent_file(url, name, account)
        if sent is not None:
            return sent
        file = self._own_file(url, name) if url.startswith(self._own) else await self._download(url, name)
        return unquote(path).rpartition("/")[2] or "file", file

    async def _sent_file(self, url: str, name: str, account: str) -> tuple[str, IO[bytes]] | None:
        """Open a file that this account has sent; None if the URL is not one of ours."""
        id_ = file_id(url)
        if id_ is None:
            return None
        try:
            found = await self._sent.fetch(account, id_)
        except (Unavailable, OSError) as error:
            raise InputError(f"input '{name}': the file can't be read here now: {error}") from error
        if found is None and is_below(url, self._base):
            raise InputError(f"input '{name}': there is no such file here any more")
        return found

    def _own_file(self, url: str, name: str) -> IO[bytes]:
        id_ = url.removeprefix(self._own).partition("/")[0]
        try:
            if _FILE_ID.fullmatch(id_):
                return self._store.path(id_).open("rb")
        except FileNotFoundError:
            pass
        except OSError as error:
            raise InputError(f"input '{name}': the file can't be read here: {error.strerror}") from error
        raise InputError(f"input '{name}': there is no such file here any more")

    async def _download(self, url: str, name: str) -> IO[bytes]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever fetched closes it
        try:
            await self._copy(url, name, file)
        except BaseException as error:
            file.close()
            if not isinstance(error, ClientError | OSError | TimeoutError | ValueError):
                raise
            if isinstance(error, ValueError | NonHttpUrlClientError):  # aiohttp's InvalidURL is the former
                raise _unusable(name) from error
            why = fetch_fault(error, self._rules.timeout_s)
            raise InputError(f"input '{name}': {redacted(url)} can't be fetched: {why}") from error
        file.seek(0)
        return file

    async def _copy(self, url: str, name: str, file: IO[bytes]) -> None:
        async with self._session.get(_target(url), max_redirects=5) as answer:
            if answer.status != _OK:
                raise InputError(f"input '{name}': {redacted(url)} answered {answer.status}")
            size = 0
            async for piece in answer.content.iter_chunked(_PIECE):
                size += len(piece)
                if size > self._rules.limit:
                    raise InputError(f"input '{name}': is over the limit of {self._rules.limit:,} bytes")
                await asyncio.to_thread(file.write, piece)


def _target(url: str) -> URL:
    """`url` as it stands where that is possible (a signed URL must be), percent-encoded where it is not."""
    return URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)


def _unusable(name: str) -> InputError:
    # The URL is not shown: where its password or its query begins can't be told when it can't be parsed.
    return InputError(f"input '{name}': what is given, or where it redirects to, is no valid URL")


def close(fetched: list[Fetched]) -> None:
    """Close files that are no longer needed."""
    for item in fetched:
        item.file.close()
