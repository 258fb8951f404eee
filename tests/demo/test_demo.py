"""The demo, run as `make demo ONCE=1` runs it: in a process of its own, to its end."""

import asyncio
import contextlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.clients import python_of

ROOT = Path(__file__).parent.parent.parent
COMMAND = [str(python_of(1)), str(ROOT / "demo/demo.py")]
SECRET_OF_SOMEBODY_ELSE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "COLUMNS")},
    # A token for Replicate itself must not get into the demo; a proxy must not get between its parts.
    "REPLICATE_API_TOKEN": "r8_of_the_person_who_tries_this_000000000",
    "http_proxy": "http://127.0.0.1:9",
}


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Every process that comes of the demo inherits where it belongs to."""
    return {**ENVIRONMENT, "DEMO_TEST": str(folder), **more}


def once(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--folder", str(folder), *arguments],
        env=environment(folder, ONCE="1"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def running(folder: Path) -> dict[int, str]:
    """The command lines, by process id, of all that came of the demo in `folder`."""
    found = {}
    mark = f"DEMO_TEST={folder}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is somebody else's
            if mark in (path / "environ").read_bytes().split(b"\0"):
                found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
    return found


def still_running(folder: Path, timeout: float = 5.0) -> list[str]:
    """What is left of the demo after its end; one that is just being killed is waited for."""
    left = []
    for pid, line in running(folder).items():
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            if not select.select([descriptor], [], [], timeout)[0]:
                left.append(line)
            os.close(descriptor)
    return left


def test_the_demo_sees_everything_it_promises_and_leaves_nothing_running(tmp_path: Path) -> None:
    shown = once(folder=tmp_path)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert shown.stderr == ""
    out = shown.stdout
    assert "handler.mjs on Node " in out
    assert re.search(r"s   start +✓ verified +\d+\.\d ms", out)
    assert re.search(r"s   logs +✓ verified +\S*25%\|", out)
    assert re.search(r"s   completed +✓ verified +\d+\.\d ms   succeeded: http://127\.0\.0\.1:\d+/f/", out)
    assert re.search(r"fetched +PNG, 384 x 256 pixels", out)
    assert len(re.findall(r"s   output +✓ verified +\w", out)) >= 2
    assert re.search(r"✗ not ready +\S+ ms   attempt 1, (evt_\w+)\n.*✓ verified .*attempt 2, \1\n", out)
    assert 'answered   401 {"error":"invalid signature"}' in out
    seen = out[out.index("\nSeen\n") :]
    assert (seen.count("✓"), seen.count("✗")) == (7, 0)
    assert "\x1b" not in out
    assert ENVIRONMENT["REPLICATE_API_TOKEN"] not in out
    assert still_running(tmp_path) == []


def test_the_demo_fails_when_the_receiver_has_another_secret(tmp_path: Path) -> None:
    shown = once("--secret", SECRET_OF_SOMEBODY_ELSE, folder=tmp_path)
    assert shown.returncode == 1, shown.stdout + shown.stderr
    assert "✗ refused" in shown.stdout
    assert "is its secret the server's?" in shown.stdout
    assert shown.stdout.count("(not seen)") == 7
    assert still_running(tmp_path) == []


@contextlib.asynccontextmanager
async def started(
    folder: Path, *arguments: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    demo = await asyncio.create_subprocess_exec(
        *COMMAND,
        "--folder",
        folder,
        *arguments,
        env=environment(folder, ONCE=""),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert demo.stdout is not None
    try:
        async with asyncio.timeout(120):
            yield demo, demo.stdout
    finally:
        if demo.returncode is None:
            demo.terminate()
        await demo.stdout.read()
        await demo.wait()


async def test_the_demo_stays_up_for_a_pasted_curl_until_ctrl_c(tmp_path: Path) -> None:
    async with started(tmp_path, "--python") as (demo, output):
        shown = (await output.readuntil(b"Ctrl-C ends it.\n")).decode()
        assert "handler.py on Python" in shown
        assert "(not seen)" not in shown
        created = await asyncio.to_thread(paste, shown[shown.index("\ncurl ") : shown.index("\n\n  address")])
        assert created["status"] == "starting"
        rang = await output.readuntil(b"   completed ")
        assert b"   output     \xe2\x9c\x93 verified" in rang
        kinds = "demo.py", "ringback.assembly", "handler.py", "_ringback_runner"
        lines = running(tmp_path).values()
        assert [kind for kind in kinds if not any(kind in line for line in lines)] == []
        second = await asyncio.to_thread(once, folder=tmp_path)
        assert second.returncode == 1
        assert "another demo is running" in second.stdout
        demo.send_signal(signal.SIGINT)
        await output.read()
        assert await demo.wait() == 0
    assert still_running(tmp_path) == []


def paste(command: str) -> dict[str, Any]:
    """Do what the shell and curl would do with it; a machine need not have curl."""
    program, url, *words = shlex.split(command.replace("\\\n", ""))
    given = list(zip(words[::2], words[1::2], strict=True))
    assert (program, {option for option, _ in given}) == ("curl", {"-H", "-d"})
    headers = dict(value.split(": ", 1) for option, value in given if option == "-H")
    (body,) = (value for option, value in given if option == "-d")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, body.encode(), headers), timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


async def test_the_demo_ends_its_children_when_it_is_terminated(tmp_path: Path) -> None:
    async with started(tmp_path) as (demo, output):
        await output.readuntil(b"created")
        assert len(running(tmp_path)) >= 3
        demo.terminate()
        await output.read()
        assert await demo.wait() == 1
    assert still_running(tmp_path) == []
