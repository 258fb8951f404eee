"""Says something about a prompt, a word at a time, as a language model does.

What an asynchronous generator yields is output at once: `output` events show it while more is on its way.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator

SENTENCES = (
    "It begins with {subject}, long before anyone is awake.",
    "Nobody stands beside {subject} and waits.",
    "Somewhere a telephone knows more about {subject} than you do.",
    "First there is nothing, then a little, then all of it.",
    "You may look at {subject} from far away and see it better.",
    "What takes its time is not late.",
    "Then it rings, once, and says what it has to say.",
)
LIMIT = 1000


async def run(prompt: str, words: int = 32, pause: float = 0.15) -> AsyncIterator[str]:
    """Yield `words` words about `prompt`, `pause` seconds apart."""
    if not 1 <= words <= LIMIT:
        raise ValueError(f"words must be from 1 to {LIMIT}")
    for word in itertools.islice(tell(prompt), words):
        yield word
        await asyncio.sleep(pause)
    print(f"said {words} words about {prompt}")


def tell(prompt: str) -> Iterator[str]:
    """Yield words for ever; joined without anything between them they are text."""
    chance = random.Random(prompt)  # the same prompt says the same
    subject = prompt.strip(" .!?") or "nothing"
    space = ""
    while True:
        for sentence in chance.sample(SENTENCES, len(SENTENCES)):
            for word in sentence.format(subject=subject).split():
                yield space + word
                space = " "
