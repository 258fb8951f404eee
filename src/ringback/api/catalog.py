"""Which version a request means, and how its input is checked.

Compiled schemas are remembered by version id: a version never changes, and the versions table rebuilds them.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from ringback.rules.schema import InputSchema
from ringback.store import versions
from ringback.store.database import Database
from ringback.words import json
from ringback.words.errors import Invalid, NotFound

_HEX_DIGITS = 64
_LONGEST_REASON = 300
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """A version that can be run."""

    id: str
    model: str
    schema: InputSchema


class Catalog:
    """The models that are served; every kept version of them can be run."""

    def __init__(self, database: Database, latest: Iterable[tuple[str, str]]) -> None:
        """Take the models: (owner/name, id of its latest version) pairs."""
        self._database = database
        self._latest = dict(latest)
        self._known: dict[str, Known] = {}

    async def resolve(self, reference: str) -> Known:
        """Find a version by `owner/name`, `owner/name:id` or `id`.

        Raises:
            Invalid: there is none such, in Replicate's words; or its input schema can't be used.
        """
        model, sign, id_ = reference.partition(":")
        if not sign:
            model, id_ = (reference, self._latest.get(reference, "")) if "/" in reference else ("", reference)
        known = await self._get(id_.lower())
        if known is None or ((model or sign) and known.model != model):
            raise Invalid(
                "The specified version does not exist (or perhaps you don't have permission to use it?)",
                title="Invalid version or not permitted",
            )
        return known

    async def latest(self, model: str) -> Known:
        """Find the latest version of a model.

        Raises:
            NotFound: no such model is served.
            Invalid: its input schema can't be used.
        """
        known = await self._get(self._latest.get(model, ""))
        if known is None:
            raise NotFound("The requested resource could not be found.")
        return known

    async def _get(self, id_: str) -> Known | None:
        known = self._known.get(id_)
        if known is not None or len(id_) != _HEX_DIGITS:
            return known
        version = await self._database.read(lambda tx: versions.get(tx, id_))
        if version is None or version.model not in self._latest:
            return None
        schema = _compiled(version.id, version.openapi_schema)
        return self._known.setdefault(id_, Known(version.id, version.model, schema))


def _compiled(id_: str, openapi_schema: str) -> InputSchema:
    try:
        return InputSchema(json.decode(openapi_schema.encode()))
    except ValueError as error:
        reason = str(error).partition("\n")[0][:_LONGEST_REASON]
        log.error("version %s: its input schema can't be used: %s", id_, reason)
        raise Invalid(
            f"The input schema of this version can't be used: {reason}. Correct the model's predict().",
            title="Invalid version",
        ) from error
