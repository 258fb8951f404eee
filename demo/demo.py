"""`make demo`: a server and a receiver, predictions made with the official client, and what rings back.

It stays up until Ctrl-C. With --once, or ONCE=1 in the environment, it ends by itself, with exit code 0 only
if everything was seen.
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
# `python demo/demo.py` puts demo/ first on the path, where `demo` would mean this file.
sys.path[0] = str(ROOT)

from httpx import HTTPError  # noqa: E402
from replicate.client import Client  # noqa: E402
from replicate.exceptions import ReplicateError  # noqa: E402

from demo import scenes  # noqa: E402
from demo.processes import NotStarted, Receiver, Server, receiving, serving  # noqa: E402
from demo.screen import Screen  # noqa: E402

LIMIT_S = 60
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


class Late(Exception):
    """It took longer than LIMIT_S."""


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make demo", description="See a prediction ring back, in a minute.")
    add = parser.add_argument
    add("--once", action="store_true", default=os.environ.get("ONCE", "") not in ("", "0"))
    add("--python", action="store_true", help="run the receiver on Python even where there is Node")
    add("--secret", help="have the receiver check with this secret and not the server's, to see it refuse")
    add("--folder", type=Path, default=ROOT / ".demo", help="where data and log go; made anew each time")
    return parser.parse_args()


@contextlib.contextmanager
def fresh(folder: Path) -> Iterator[None]:
    """Empty the folder, and keep a second demo out of it.

    Raises:
        NotStarted: another demo is running there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NotStarted(f"another demo is running in {folder}: stop it, or give --folder") from None
        shutil.rmtree(folder / "data", ignore_errors=True)
        yield


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise Late if it takes longer than LIMIT_S."""

    def late(*_: object) -> None:
        raise Late(f"It took longer than {LIMIT_S} s.")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)


def play(stage: scenes.Stage) -> bool:
    """Play the scenes; say whether everything was seen."""
    screen = stage.screen
    try:
        with limited():
            real = scenes.picture(stage)
            scenes.words(stage)
            scenes.again(stage)
            scenes.forged(stage, real)
    except (scenes.Unverified, Late, ReplicateError, HTTPError, OSError) as error:
        screen.trouble(str(error))
    screen.title("Seen")
    for check in scenes.Check:
        screen.check(check, seen=check in stage.seen)
    return stage.seen == set(scenes.Check)


def invite(screen: Screen, server: Server, receiver: Receiver, folder: Path) -> None:
    """Say what to try next."""
    screen.title("Try it yourself: paste this, and watch it ring here")
    screen.text(
        f"\ncurl {server.url}/v1/predictions \\\n"
        f'  -H "Authorization: Bearer {server.token}" -H "Content-Type: application/json" \\\n'
        f'  -d \'{{"version": "ringback/words", "input": {{"prompt": "the sea"}},\n'
        f'       "webhook": "{receiver.url}", "webhook_events_filter": ["output", "completed"]}}\'\n'
    )
    screen.fact("address", f"{server.url}   (the clients' base URL: REPLICATE_BASE_URL, or baseUrl)")
    screen.fact("token", f"{server.token}   (REPLICATE_API_TOKEN)")
    screen.fact("data", f"{folder / 'data'}, log: {folder / 'server.log'}")
    screen.line("\n  Ctrl-C ends it.\n")


def stay(stage: scenes.Stage) -> None:
    """Show what rings, until Ctrl-C."""
    while True:
        heard = stage.receiver.next()
        if "ringback-event" in heard.headers:
            stage.screen.event(heard, scenes.note(heard))
        else:
            stage.screen.fact("heard", f"something else, answered {heard.status}")


def demo(screen: Screen, given: argparse.Namespace) -> bool:
    """Set the stage, play, and stay unless told to do it once; say whether everything was seen."""
    folder = given.folder.resolve()
    with contextlib.ExitStack() as stack:
        stack.enter_context(fresh(folder))
        server = stack.enter_context(serving(folder))
        client = Client(server.token, base_url=server.url)
        secret = given.secret or client.webhooks.default.secret().key
        receiver = stack.enter_context(receiving(secret, in_python=given.python))
        screen.title("Ringback")
        screen.fact("server", f"{server.url}, with black-forest-labs/flux-schnell and ringback/words")
        screen.fact("receiver", f"{receiver.url}, {receiver.runs_on}")
        stage = scenes.Stage(client, receiver, screen)
        complete = play(stage)
        if not given.once:
            # Ctrl-C is how it is meant to end.
            with contextlib.suppress(KeyboardInterrupt):
                invite(screen, server, receiver, folder)
                stay(stage)
        return complete


def main() -> int:
    """Run the demo; give its exit code."""
    screen = Screen()
    given = options()
    for number in ENDINGS:
        signal.signal(number, lambda *_: sys.exit(1))
    os.environ["no_proxy"] = "127.0.0.1"  # a proxy that is set for the outside can't reach it
    try:
        return 0 if demo(screen, given) else 1
    except NotStarted as error:
        screen.trouble(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
