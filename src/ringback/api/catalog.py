"""Which version a request means, whether its account may run it, and how its input is checked.

What a name leads to is remembered for five seconds, and forgotten when this process changes it; the models
and versions tables rebuild it. Compiled schemas are remembered by version id for as long as their text stays.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from ringback.rules.schema import InputSchema
from ringback.store import models, versions
from ringback.store.database import Database, Tx
from ringback.store.models import Model
from ringback.store.versions import Version
from ringback.words import json
from ringback.words.errors import Invalid, NotFound

_HEX_DIGITS = 64
_LONGEST_REASON = 300
_REMEMBERED_S = 5.0
_REMEMBERED = 10_000
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """A version that can be run.

    Attributes:
        id: 64 hexadecimal digits.
        model: owner/name.
        schema: what its input must be.
        training: what the input of a training of it must be; None if it has no trainings.
    """

    id: str
    model: str
    schema: InputSchema
    training: InputSchema | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What a reference led to, and for whom: None for everybody."""

    known: Known
    account: str | None
    until: float


class Catalog:
    """The versions that can be run: every one that is kept of a model that is served."""

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        """Take where models and versions are, and a clock that never steps (seconds)."""
        self._database = database
        self._monotonic = monotonic
        self._found: dict[str, _Found] = {}
        self._compiled: dict[str, tuple[str, Known]] = {}
        self._changes = 0

    def forget(self) -> None:
        """Look again: a model or a version has changed."""
        self._found.clear()
        self._changes += 1

    async def resolve(self, account: str, reference: str) -> Known:
        """Find a version by `owner/name`, `owner/name:id` or `id`.

        Raises:
            Invalid: there is none such that this account may see, in Replicate's words; or its input schema
                can't be used.
        """
        known = await self._look_up(account, reference)
        if known is None:
            raise Invalid(
                "The specified version does not exist (or perhaps you don't have permission to use it?)",
                title="Invalid version or not permitted",
            )
        return known

    async def latest(self, account: str, model: str) -> Known:
        """Find the latest version of a model.

        Raises:
            NotFound: no such model is served, or this account may not see it.
            Invalid: it has no version yet; or its input schema can't be used.
        """
        known = await self._look_up(account, model) if "/" in model else None
        if known is not None:
            return known
        if await self._database.read(lambda tx: models.get(tx, account, model)) is None:
            raise NotFound("The requested resource could not be found.")
        raise Invalid(
            f"The model {model} has no version yet: a training with it as its destination makes one.",
            title="Invalid version or not permitted",
        )

    async def training(self, account: str, model: str, id_: str) -> Known:
        """Find a version to be trained; its `schema` is that of a training's input.

        Raises:
            NotFound: the model has no such version, or this account may not see it.
            Invalid: the version has no trainings; or its input schema can't be used.
        """
        known = await self._look_up(account, f"{model}:{id_}")
        if known is None:
            raise NotFound("The requested resource could not be found.")
        if known.training is None:
            raise Invalid(
                f"This version of {model} can't be trained: its cog.yaml has no `train`.",
                title="Invalid version or not permitted",
            )
        return replace(known, schema=known.training)

    async def _look_up(self, account: str, reference: str) -> Known | None:
        now = self._monotonic()
        found = self._found.get(reference)
        if found is None or found.until <= now:
            changes = self._changes
            found = await self._read(account, reference, now + _REMEMBERED_S)
            if found is not None and changes == self._changes:
                if len(self._found) >= _REMEMBERED:
                    self._found.clear()
                self._found[reference] = found
        return found.known if found is not None and found.account in (None, account) else None

    async def _read(self, account: str, reference: str, until: float) -> _Found | None:
        model, sign, id_ = reference.partition(":")
        if "/" not in model:
            model, sign, id_ = "", ":", reference
        if sign and len(id_) != _HEX_DIGITS:
            return None
        found = await self._database.read(lambda tx: _stored(tx, account, model, id_.lower()))
        if found is None:
            return None
        seen, version = found
        owner = seen.account if seen.visibility == "private" else None
        return _Found(self._known(version), owner, until)

    def _known(self, version: Version) -> Known:
        text, known = self._compiled.get(version.id, ("", None))
        if known is None or text != version.openapi_schema or known.model != version.model:
            known = _compiled(version)
            if len(self._compiled) >= _REMEMBERED:
                self._compiled.clear()
            self._compiled[version.id] = version.openapi_schema, known
        return known


async def _stored(tx: Tx, account: str, model: str, id_: str) -> tuple[Model, Version] | None:
    """Find a version, by its id or as the latest of `model`, with its model: if the account may see both."""
    if not id_:
        version = await versions.latest(tx, model)
    else:
        found = await versions.get(tx, id_)
        version = None if found is None else await versions.shown(tx, model or found.model, id_)
    seen = None if version is None else await models.get(tx, account, version.model)
    return None if version is None or seen is None else (seen, version)


def _compiled(version: Version) -> Known:
    try:
        document = json.decode(version.openapi_schema.encode())
        schemas = document.get("components", {}).get("schemas", {})
        training = InputSchema(document, "TrainingInput") if "TrainingInput" in schemas else None
        return Known(version.id, version.model, InputSchema(document), training)
    except ValueError as error:
        reason = str(error).partition("\n")[0][:_LONGEST_REASON]
        log.error("version %s: its input schema can't be used: %s", version.id, reason)
        raise Invalid(
            f"The input schema of this version can't be used: {reason}. Correct the model's predict().",
            title="Invalid version",
        ) from error
