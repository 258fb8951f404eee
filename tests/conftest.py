"""For all tests."""

import signal


def pytest_configure() -> None:
    """Have SIGINT again: pytest-xdist's processes ignore it, and what a test starts would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
