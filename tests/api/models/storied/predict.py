"""Says it back, and has a readme."""


def run(text: str = "once") -> str:
    return text
