"""Says it back."""


def run(text: str, times: int = 1) -> str:
    return text * times
