"""`[collections.<slug>]`: models that are shown together."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ringback.assembly.settings.reading import Rule

_SLUG = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class CollectionConfig:
    """A collection of models: `[collections.<slug>]`, the slug of small letters, digits and dashes."""

    name: str = ""
    """What it is called; the slug when empty."""
    description: str = ""
    """What is in it, in a sentence."""
    full_description: str = ""
    """The same at length, as Markdown."""
    models: list[str] = field(default_factory=list)
    """Its models, each owner/name, in the order in which they are shown."""


def rules(slug: str, collection: CollectionConfig) -> Iterator[Rule]:
    """Give what must hold of a collection's settings."""
    at = f"collections.{slug}"
    yield (
        _SLUG.fullmatch(slug),
        f"{at}: the name of a collection is of small letters, digits and single dashes",
    )
    for model in collection.models:
        yield model.count("/") == 1, f"{at}.models: {model!r} is not owner/name"
