"""How well a text fits a search."""

from collections.abc import Sequence

_MOST_WORDS = 20
"""Words of a query that count: each is looked for in every text."""

_LONGEST = 1000
"""Characters of a query that count."""

_EXACT, _IN_NAME, _IN_DESCRIPTION = 1.0, 0.75, 0.5


def words(query: str) -> tuple[str, ...]:
    """Give the words to look for: in lower case, each once."""
    return tuple(dict.fromkeys(_folded(query[:_LONGEST]).split()))[:_MOST_WORDS]


def score(sought: Sequence[str], name: str, description: str) -> float:
    """Say how well something fits: 0 if one of the words is not in it, up to 1 if all are its name's parts.

    Args:
        sought: from `words`; no words fit everything.
        name: of a model owner/name, whose parts count as names too.
        description: further text.
    """
    name, description = _folded(name), _folded(description)
    parts = {name, *name.split("/")}
    each = [_of_word(word, name, parts, description) for word in sought]
    return 0.0 if 0.0 in each else sum(each) / len(each) if each else _EXACT


def _of_word(word: str, name: str, parts: set[str], description: str) -> float:
    if word in parts:
        return _EXACT
    if word in name:
        return _IN_NAME
    return _IN_DESCRIPTION if word in description else 0.0


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else text.casefold()  # the first is ten times as quick
