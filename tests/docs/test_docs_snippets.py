"""The code in the documentation does what the text beside it says, with real deliveries of a real server."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from docs.pages import ROOT, Block, blocks
from ringback.assembly.data import DataFolder
from ringback.words.signature import sign
from support.clients import python_of
from support.node import CLIENTS, NODE
from support.receiver import receiving
from support.server import model, serving

ACCEPTING = [block for block in blocks("run", "python accept") if "replicate" not in block.text]
WITH_REPLICATE = [block for block in blocks("run", "python accept") if "replicate" in block.text]
NEWS = blocks("run", "python news")
NODES = blocks("run", "node")
SQL = blocks("run", "sql")


@dataclass(frozen=True)
class Delivery:
    """A delivery as a receiver gets it, and the secret it was signed with."""

    headers: dict[str, str]
    body: str
    secret: str

    def with_header(self, name: str, value: str) -> "Delivery":
        return replace(self, headers={**self.headers, name: value})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a server is run with its data in the default folder."""
    return tmp_path_factory.mktemp("docs")


@pytest.fixture(scope="module")
def real(folder: Path) -> Delivery:
    """A `completed` of a real server, while its secret was being rotated."""
    return asyncio.run(ring(folder / "ringback-data"))


async def ring(data: Path) -> Delivery:
    async with serving(model("test/echo", "echo"), data=data) as server, receiving() as receiver:
        old = await server.secret()
        await server.call("POST", "/v1/webhooks/default/secret/rotate")
        await server.create("test/echo", {"text": 'thé "😀"', "times": 2}, webhook=receiver.url)
        await receiver.until(lambda r: any(item.event == "completed" for item in r.acknowledged))
        (item,) = [item for item in receiver.received if item.event == "completed"]
        secret = await server.secret()
        assert secret != old
        return Delivery(item.headers, item.body.decode(), secret)


def cases(real: Delivery) -> dict[str, Delivery]:
    """The delivery as it came, and in every way that must be refused."""
    id_, body = real.headers["webhook-id"], real.body
    old = int(time.time()) - 3600
    signature = sign([real.secret], id_, old, body.encode())
    return {
        "real": real,
        "body altered": replace(real, body=body.replace("succeeded", "canceled")),
        "id altered": real.with_header("webhook-id", id_ + "1"),
        "timestamp altered": real.with_header(
            "webhook-timestamp", str(int(real.headers["webhook-timestamp"]) - 1)
        ),
        "signature altered": real.with_header(
            "webhook-signature", sign([real.secret], id_, 1, body.encode())
        ),
        "replayed": replace(
            real.with_header("webhook-timestamp", str(old)).with_header("webhook-signature", signature)
        ),
    }


def verdicts(accept: Callable[[dict[str, str], str], Any], real: Delivery) -> dict[str, Any]:
    found = {}
    for name, case in cases(real).items():
        try:
            found[name] = accept(case.headers, case.body)
        except Exception as error:
            found[name] = type(error).__name__
    return found


def judged(found: dict[str, Any], real: Delivery) -> None:
    assert found.pop("real") == json.loads(real.body)
    assert found
    assert [name for name, verdict in found.items() if not isinstance(verdict, str)] == []


@pytest.mark.parametrize("block", ACCEPTING, ids=str)
def test_a_python_example_accepts_a_real_delivery_and_nothing_else(
    block: Block, real: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLICATE_WEBHOOK_SECRET", real.secret)
    names: dict[str, Any] = {}
    exec(block.text, names)
    judged(verdicts(names["accept"], real), real)


PYTHON_CALLER = """
import json, sys

names = {}
exec(open(sys.argv[1]).read(), names)
found = {}
for name, case in json.load(sys.stdin).items():
    try:
        found[name] = names["accept"](case["headers"], case["body"])
    except Exception as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""


@pytest.mark.parametrize("block", WITH_REPLICATE, ids=str)
def test_an_example_with_the_official_python_client_accepts_a_real_delivery_and_nothing_else(
    block: Block, real: Delivery, tmp_path: Path
) -> None:
    (tmp_path / "snippet.py").write_text(block.text)
    judged(answered([str(python_of(1)), "-c", PYTHON_CALLER, str(tmp_path / "snippet.py")], real), real)


def answered(command: list[str], real: Delivery) -> dict[str, Any]:
    """What a program of its own says to all cases."""
    asked = {name: {"headers": case.headers, "body": case.body} for name, case in cases(real).items()}
    done = subprocess.run(
        command,
        input=json.dumps(asked),
        env={**os.environ, "REPLICATE_WEBHOOK_SECRET": real.secret},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


CALLER = """
import { accept } from "./snippet.mjs";
import { text } from "node:stream/consumers";

const found = {};
for (const [name, { headers, body }] of Object.entries(JSON.parse(await text(process.stdin)))) {
  try {
    found[name] = await accept(headers, body);
  } catch (error) {
    found[name] = error.name;
  }
}
console.log(JSON.stringify(found));
"""


@pytest.mark.parametrize("block", NODES, ids=str)
def test_a_node_example_accepts_a_real_delivery_and_nothing_else(
    block: Block, real: Delivery, tmp_path: Path
) -> None:
    assert (CLIENTS / "node_modules").is_dir(), "the npm packages are missing: run `make test`"
    (tmp_path / "node_modules").symlink_to(CLIENTS / "node_modules")
    (tmp_path / "snippet.mjs").write_text(block.text)
    (tmp_path / "caller.mjs").write_text(CALLER)
    judged(answered([str(NODE), str(tmp_path / "caller.mjs")], real), real)


@pytest.mark.parametrize("block", NEWS, ids=str)
def test_the_receivers_statement_drops_what_came_before_and_what_is_older(block: Block) -> None:
    names: dict[str, Any] = {}
    exec(block.text, names)
    create = re.search(r"CREATE TABLE rung \(.*\)", block.text)
    assert create is not None
    database = sqlite3.connect(":memory:")
    database.execute(create[0])
    one, other = "evt_01m812dv6taadgn3jdawbfa6zn", "evt_01m812dy6z12hxwvkt99m69nhm"
    came = [f"{one}_2", f"{one}_1", f"{one}_2", f"{other}_1", f"{one}_10", f"{one}_9"]
    assert [names["is_news"](database, id_) for id_ in came] == [True, False, False, True, True, False]
    database.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here")
def test_the_shells_recipe_gives_the_headers_first_entry(real: Delivery, tmp_path: Path) -> None:
    (block,) = blocks("run", "shell")
    (tmp_path / "body.json").write_text(real.body)
    env = {
        **os.environ,
        "REPLICATE_WEBHOOK_SECRET": real.secret,
        "WEBHOOK_ID": real.headers["webhook-id"],
        "WEBHOOK_TIMESTAMP": real.headers["webhook-timestamp"],
    }
    printed = subprocess.check_output(["sh", "-c", block.text], cwd=tmp_path, env=env, text=True)
    assert f"v1,{printed.strip()}" == real.headers["webhook-signature"].split(" ")[0]


@pytest.mark.parametrize("block", SQL, ids=str)
def test_a_query_fits_the_database(block: Block, real: Delivery, folder: Path) -> None:
    given = re.fullmatch(r'sqlite3 .*ringback-data/ringback\.sqlite "(.*)"\n', block.text, re.DOTALL)
    assert given is not None, block.text
    id_ = real.headers["webhook-id"].split("_")[1]
    sql = re.sub(r"prediction_id = '\w+'", f"prediction_id = '{id_}'", given[1])
    database = sqlite3.connect(folder / "ringback-data/ringback.sqlite")
    found = database.execute(sql)
    assert found.fetchall()
    database.rollback()
    database.close()


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="there is no sqlite3 here")
async def test_a_backup_of_a_running_server_can_be_served(tmp_path: Path) -> None:
    (block,) = blocks("run", "backup")
    async with serving(model("test/echo", "echo"), data=tmp_path / "ringback-data") as server:
        created = await server.create("test/echo", {"text": "kept"})
        await server.ended(created["id"])
        done = await asyncio.create_subprocess_exec("sh", "-ec", block.text, cwd=tmp_path)
        assert await done.wait() == 0
        secret = await server.secret()
    restored = tmp_path / "restored"
    restored.mkdir()
    (tmp_path / "backup.sqlite").rename(restored / "ringback.sqlite")
    (tmp_path / "backup-files").rename(restored / "files")
    async with serving(model("test/echo", "echo"), data=restored) as server:
        assert (await server.ended(created["id"]))["status"] == "succeeded"
        assert await server.secret() == secret


async def test_the_models_of_the_guide_run(tmp_path: Path) -> None:
    for block in blocks("file"):
        if block.page == "models.md":
            path = tmp_path / block.what
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    folders = [f"me/{name}={tmp_path / name}" for name in ("greet", "count", "shout", "line")]
    async with serving(*folders, data=tmp_path / "data") as server:

        async def run(model_name: str, **inputs: Any) -> dict[str, Any]:
            return await server.ended((await server.create(f"me/{model_name}", inputs))["id"])

        greeted = await run("greet", name="Ada", language="de")
        assert (greeted["output"], greeted["logs"]) == ("Hallo, Ada!", "greeting Ada\n")
        assert (await run("count", to=4, pause=0))["output"] == [1, 2, 3, 4]
        shouted = await run("shout", text="data:text/plain,quiet")
        assert shouted["output"].endswith("/loud.txt")
        async with server.session.get(shouted["output"]) as answer:
            assert await answer.text() == "QUIET"
        again = await run("shout", text=shouted["output"])
        assert again["status"] == "succeeded"
        before = await run("line", x=2)
        trainings = f"/v1/models/me/line/versions/{before['version']}/trainings"
        points = "data:text/csv,1,3%0A2,6"
        body = {"destination": "me/line", "input": {"points": points}}
        trained = await server.ended((await server.call("POST", trainings, body))[1]["id"])
        assert trained["status"] == "succeeded", trained
        assert (before["output"], round((await run("line", x=2))["output"], 6)) == (2, 6)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the quick start finds in a clone after `make setup`."""
    for name in ("demo", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def free_ports(count: int) -> Iterator[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    for each in taken:
        yield each.getsockname()[1]
        each.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_the_readmes_quick_start_rings(clone: Path) -> None:
    (block,) = blocks("run", "quickstart")
    server, receiver = free_ports(2)
    text = (
        block.text.replace("make setup && ", "").replace("8000", str(receiver)).replace("5050", str(server))
    )
    text = text.replace("ringback serve ", f"ringback serve --port {server} ")
    env = {name: value for name, value in os.environ.items() if not name.startswith("REPLICATE_")}
    with subprocess.Popen(
        ["bash", "-c", f"{text}\nwait"],
        cwd=clone,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as pasted:
        assert pasted.stdout is not None
        try:
            heard = next(line for line in pasted.stdout if '"webhook-id"' in line)
        finally:
            os.killpg(pasted.pid, signal.SIGTERM)
            pasted.stdout.read()  # until the last of them has ended
    told = json.loads(heard[heard.index('{"at"') :])
    assert (told["status"], told["path"]) == (200, "/hook")
    (picture,) = json.loads(told["body"])["output"]
    assert picture.endswith(".png")
    DataFolder(str(clone / "ringback-data")).close()  # the server has let go of it


def test_the_systemd_unit_starts_what_there_is() -> None:
    (unit,) = [block for block in blocks("file") if block.what == "ringback.service"]
    command = re.search(r"^ExecStart=\S+/bin/ringback serve (.*)$", unit.text, re.MULTILINE)
    assert command is not None
    assert re.findall(r"--\w+", command[1]) == ["--config", "--data"]
    assert "KillMode=mixed" in unit.text
