"""The errors a caller can be told about: one code each, mapped to HTTP in one place (api/problem.py).

RingbackError
├── Invalid        the request is understood and wrong (422; `fields` says where)
├── Malformed      the request can't be read at all (400)
├── Forbidden      you may see it and not change it (403)
├── NotFound       (404)
├── Conflict       (409)
├── Gone           (410)
├── TooLarge       (413)
├── Unauthenticated(401)
├── TooMany        (429)
└── Unavailable    the store can't take it now (503)
SetupError         the program can't start or serve what it was told to (exit code 2)
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InvalidField:
    """One wrong field, in the words of Replicate's `invalid_fields`.

    Attributes:
        type: gojsonschema's name of the rule, for example `required` or `number_lte`.
        field: dotted path from the body's root, for example `input.prompt`; empty for the body itself.
        description: what was expected, for a person.
    """

    type: str
    field: str
    description: str


class RingbackError(Exception):
    """An error whose message may be shown to whoever made the request."""

    title: str | None = None

    def __init__(self, detail: str, *, title: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if title is not None:
            self.title = title


class Invalid(RingbackError):
    """The request is well formed and wrong; `fields` names each fault."""

    def __init__(
        self, detail: str, *, title: str | None = None, fields: tuple[InvalidField, ...] = ()
    ) -> None:
        super().__init__(detail, title=title)
        self.fields = fields


class Malformed(RingbackError):
    """The request can't be read: not JSON, not UTF-8, not the expected shape."""


class Forbidden(RingbackError):
    """Whoever asks may see it, and may not change it."""


class NotFound(RingbackError):
    """There is no such thing, or it is not yours."""


class Conflict(RingbackError):
    """It contradicts something that already happened."""


class Gone(RingbackError):
    """It was there once, and what it was made of is no more."""


class TooLarge(RingbackError):
    """It is over a limit in bytes."""


class Unauthenticated(RingbackError):
    """No token, or not a valid one."""

    title = "Unauthenticated"


class TooMany(RingbackError):
    """There is too much of it at the moment; `retry_after` says in how many seconds to ask again."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(RingbackError):
    """The store can't take the change now: disk full, database gone. Nothing was changed."""


class SetupError(Exception):
    """The program can't do what it was told to at the start; the message is one line with the next step."""
