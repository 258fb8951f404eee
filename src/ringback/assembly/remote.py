"""A running server, as the command line talks to it: over its API, like anybody else.

Only the server that was named hears the token: no proxy of the environment is used, no redirect followed.
"""

import json
import os
import ssl
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

from ringback.rules.url import redacted, url_fault

DEFAULT_URL = "http://127.0.0.1:5050"
_TIMEOUT_S = 60.0
"""A test delivery takes as long as its receiver does, 17 s with the default settings."""

NOT_DONE, NOT_ASKED = 1, 2
_REDIRECTS = range(300, 400)


class CommandFailed(Exception):
    """What was asked for was not done; the message is one line with the next step.

    Attributes:
        code: the exit code: 1 when the server said no, 2 when it could not be asked.
    """

    def __init__(self, message: str, code: int = NOT_ASKED) -> None:
        super().__init__(message)
        self.code = code


def token(file: Path | None) -> str:
    """Read the API token from `file`, or from REPLICATE_API_TOKEN.

    Raises:
        CommandFailed: there is none.
    """
    if file is None:
        found = os.environ.get("REPLICATE_API_TOKEN", "").strip()
    else:
        try:
            found = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise CommandFailed(f"can't read the token from {file}: {error}") from None
    if not found or not found.isascii() or not found.isprintable():
        raise CommandFailed("no usable API token: set REPLICATE_API_TOKEN, or give --token-file")
    return found


class Remote:
    """A server and the token for it."""

    def __init__(self, url: str, token: str) -> None:
        """Take the server's URL, with or without /v1.

        Raises:
            CommandFailed: it is no URL.
        """
        fault = url_fault(url)
        if fault is not None:
            raise CommandFailed(f"--url: {redacted(url)!r} {fault}")
        self._parts = urlsplit(url)
        self._shown = redacted(url)
        self._token = token

    def get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        """GET `path` (below /v1); give the parsed answer.

        Raises:
            CommandFailed: the server can't be asked, or says no.
        """
        return self._ask("GET", path + (f"?{urlencode(query)}" if query else ""))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """POST `body` to `path` (below /v1); see `get`."""
        return self._ask("POST", path, json.dumps(body or {}).encode())

    def pages(self, path: str, query: dict[str, Any], limit: int | None) -> Iterator[dict[str, Any]]:
        """Give the results of a list one by one over all its pages, `limit` of them at most."""
        given = 0
        page = self.get(path, query)
        while True:
            for each in page["results"]:
                if limit is not None and given >= limit:
                    return
                given += 1
                yield each
            if page["next"] is None or (limit is not None and given >= limit):
                return
            # only its query: the server may be reached under another name than it gives itself
            page = self._ask("GET", f"{path}?{urlsplit(page['next']).query}")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        connection = self._connection()
        try:
            connection.request(method, f"{self._base}{path}", body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except ConnectionRefusedError:
            raise CommandFailed(
                f"no server answers at {self._shown}: start it with `ringback serve`, or give --url"
            ) from None
        except (OSError, HTTPException) as error:
            raise CommandFailed(f"can't talk to {self._shown}: {_words(error)}; check --url") from None
        finally:
            connection.close()
        return self._answer(answer.status, text)

    @property
    def _base(self) -> str:
        return f"{self._parts.path.rstrip('/').removesuffix('/v1')}/v1"

    def _connection(self) -> HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "https":
            return HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=ssl.create_default_context())
        return HTTPConnection(host, port, timeout=_TIMEOUT_S)

    def _answer(self, status: int, text: bytes) -> Any:
        if status == 401:  # noqa: PLR2004 - HTTP's
            raise CommandFailed(
                "the server does not know this token: set REPLICATE_API_TOKEN to the one that it was started "
                "with, or that it printed at its first start"
            )
        try:
            answer = json.loads(text)
        except ValueError:
            self._stranger(status)
        if status in range(200, 300):
            return answer
        if not isinstance(answer, dict) or "detail" not in answer:
            self._stranger(status)
        raise CommandFailed(one_line(answer), NOT_DONE)

    def _stranger(self, status: int) -> NoReturn:
        what = f"a redirect ({status})" if status in _REDIRECTS else f"{status} and no JSON of Ringback"
        raise CommandFailed(
            f"{self._shown} answers with {what}: is that the server's own address? Check --url"
        )


def one_line(problem: dict[str, Any]) -> str:
    """Give a problem+json as a line: each wrong field with its fault, or the detail."""
    fields = problem.get("invalid_fields") or []
    faults = [f"{each['field']}: {each['description']}".removeprefix(": ") for each in fields]
    return "; ".join(faults) or " ".join(str(problem["detail"]).split())


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT_S:g} s"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"the answer is not HTTP ({type(error).__name__})"
