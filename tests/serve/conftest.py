import logging
import sys
from collections.abc import Callable, Iterator

import pytest

from ringback.assembly.cli import main
from serve.starting import Gate, Refused


@pytest.fixture
def refused_here(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Refused]]:
    """Starts a server that must not start in this process: much quicker, where no child comes into it."""
    interval, handlers = sys.getswitchinterval(), list(logging.root.handlers)

    def start(*arguments: str) -> Refused:
        monkeypatch.setattr(sys, "argv", ["ringback", "serve", "--port", "0", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        return Refused(int(str(caught.value.code)), out, err, [])

    yield start
    sys.setswitchinterval(interval)
    logging.root.handlers = handlers


@pytest.fixture
def gate() -> Iterator[Gate]:
    found = Gate()
    yield found
    found.close()
