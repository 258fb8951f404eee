"""What keeps a server from starting is one clear line and exit code 2, and nothing is left running."""

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ringback.assembly.config import Config, ServerConfig, check, read_config
from ringback.assembly.data import DataFolder
from ringback.words.errors import SetupError
from ringback.work.model import read_model
from serve.starting import Refused, refused
from support.server import MODELS, serving

Start = Callable[..., Refused]
ECHO = f"test/echo={MODELS / 'echo'}"


def folder(tmp_path: Path, **files: str) -> str:
    """Make a model's folder; give the argument that names it."""
    made = tmp_path / "model"
    made.mkdir()
    for name, text in files.items():
        (made / name.replace("_", ".")).write_text(text)
    return f"test/model={made}"


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(tmp_path / "data", ECHO, "--port", str(port)).line
    assert line == f"can't listen on 127.0.0.1:{port}: Address already in use; give another port with --port"


def test_a_port_out_of_range(refused_here: Start) -> None:
    line = refused_here("--port", "70000").line
    assert line == "command line: server.port must be from 0 to 65535"


def test_a_public_url_that_is_none() -> None:
    config = Config(server=ServerConfig(public_url="ringback.example"))
    with pytest.raises(
        SetupError, match=r"command line: server.public_url must begin with http:// or https://"
    ):
        check(config, "command line")


def test_a_data_folder_with_a_file_where_a_folder_belongs(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("")
    with pytest.raises(SetupError, match="can't write to the data folder"):
        DataFolder(str(tmp_path))


def test_a_data_folder_that_can_not_be_written(tmp_path: Path, refused_here: Start) -> None:
    (tmp_path / "file").write_text("")
    line = refused_here(ECHO, "--data", str(tmp_path / "file" / "data")).line
    assert line == (
        f"can't write to the data folder {tmp_path}/file/data: Not a directory; give another with --data"
    )


async def test_a_second_server_on_the_same_data_folder(tmp_path: Path) -> None:
    async with serving(data=tmp_path) as server:
        line = refused(tmp_path, ECHO).line
        assert line == (
            f"another ringback is using the data folder {tmp_path}: stop it, or give another with --data"
        )
        assert (await server.call("GET", "/health"))[0] == 200


def test_a_database_of_a_newer_ringback(tmp_path: Path, refused_here: Start) -> None:
    with closing(sqlite3.connect(tmp_path / "ringback.sqlite")) as connection, connection:
        connection.execute("PRAGMA user_version = 9999")
    line = refused_here(ECHO, "--data", str(tmp_path)).line
    assert "has schema 9999, newer than this program's" in line


def test_a_database_that_is_none(tmp_path: Path, refused_here: Start) -> None:
    (tmp_path / "ringback.sqlite").write_bytes(b"something else entirely" * 1000)
    assert refused_here("--data", str(tmp_path)).line.endswith("file is not a database")


# Models


def test_a_model_without_a_folder(refused_here: Start) -> None:
    assert refused_here("test/echo").line == "model 'test/echo': expected OWNER/NAME=DIR"


def test_a_folder_without_cog_yaml(tmp_path: Path) -> None:
    line = refused(tmp_path / "data", ECHO, folder(tmp_path, predict_py="def run(): ...")).line
    assert line == f"{tmp_path}/model: there is no cog.yaml"


def test_a_cog_yaml_that_is_not_yaml(tmp_path: Path, refused_here: Start) -> None:
    line = refused_here(folder(tmp_path, cog_yaml="run: [unclosed"), "--data", str(tmp_path / "data")).line
    assert line.startswith(f"{tmp_path}/model/cog.yaml: not YAML: ")


@pytest.mark.parametrize("name", ["echo", "a/b/c", "a b/c", "/x", "x/", ""])
def test_a_name_that_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupError, match="expected owner/name"):
        read_model(name, MODELS / "echo", None, tmp_path)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"nowhere: there is no cog.yaml \(no such folder\)"):
        read_model("test/model", tmp_path / "nowhere", None, tmp_path)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"cog_yaml": "- run"}, "cog.yaml: expected a mapping"),
        ({"cog_yaml": ""}, "cog.yaml: expected a mapping"),
        ({"cog_yaml": "build: {}"}, "cog.yaml: `run` must name file.py:Class or file.py:function, not None"),
        (
            {"cog_yaml": "run: predict.py"},
            "`run` must name file.py:Class or file.py:function, not 'predict.py'",
        ),
        ({"cog_yaml": "run: 5"}, "`run` must name file.py:Class or file.py:function, not 5"),
        ({"cog_yaml": "run: predict.py:run"}, "`run` names predict.py, which is not in the folder"),
        (
            {"cog_yaml": "run: predict.py:run\ntrain: [train.py]", "predict_py": ""},
            "`train` must name file.py:Class or file.py:function, not ['train.py']",
        ),
        (
            {"cog_yaml": "run: predict.py:run\ntrain: train.py:train", "predict_py": ""},
            "`train` names train.py, which is not in the folder",
        ),
    ],
)
def test_a_folder_that_is_no_model(tmp_path: Path, files: dict[str, str], said: str) -> None:
    folder(tmp_path, **files)
    with pytest.raises(SetupError) as caught:
        read_model("test/model", tmp_path / "model", None, tmp_path / "data")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('no weights here')", "no weights here"),
        ("import os; os._exit(3)", "exit"),
    ],
)
def test_a_predictor_that_can_not_be_imported(tmp_path: Path, source: str, said: str) -> None:
    found = refused(
        tmp_path / "data", ECHO, folder(tmp_path, cog_yaml="run: predict.py:run", predict_py=source)
    )
    assert found.line.startswith("model test/model: ")
    assert said in found.line


# The configuration


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 5050", "server: there is no setting 'prot'; the nearest is 'port'"),
        ("[sever]\nport = 5050", "there is no setting 'sever'; the nearest is 'server'"),
        (
            "[webhooks]\nthrotle_s = 1",
            "webhooks: there is no setting 'throtle_s'; the nearest is 'throttle_s'",
        ),
        ("[egress]\nalow = []", "egress: there is no setting 'alow'; the nearest is 'allow'"),
        (
            '[models."a/b"]\ndir = "x"\nre-run = "never"',
            "models.\"a/b\": there is no setting 're-run'; the nearest is 'rerun'",
        ),
        ('[models."a/b"]\ntimeout_s = 5', 'models."a/b": dir is missing: the folder with cog.yaml'),
        ("models = 5", "models: expected tables such as"),
        ('models."a/b" = 5', 'models."a/b": expected a table'),
        ("server = 5", "server: expected a table"),
        ('[server]\nport = "5050"', "server.port: expected int, not '5050'"),
        ("[server]\nport = 5050.0", "server.port: expected int, not 5050.0"),
        ("[server]\nport = true", "server.port: expected int, not True"),
        ("[server]\nhost = 5", "server.host: expected str, not 5"),
        ('[webhooks]\nthrottle_s = "1"', "webhooks.throttle_s: expected float, not '1'"),
        ("[webhooks]\nthrottle_s = inf", "webhooks.throttle_s: expected float, not inf"),
        ("[webhooks]\nretry_window_s = nan", "webhooks.retry_window_s: expected float, not nan"),
        ('[egress]\nallow = "10.0.0.0/8"', "egress.allow: expected a list of strings, not '10.0.0.0/8'"),
        ("[server]\nport = 65536", "server.port must be from 0 to 65535"),
        ("[server]\ndrain_s = -1", "server.drain_s must not be negative"),
        ('[server]\nlog_level = "loud"', "server.log_level must be one of debug, info, warning, error"),
        ('[webhooks]\ndefault_events = ["finished"]', "webhooks.default_events: only start, output, logs"),
        ("[webhooks]\nin_flight = 0", "webhooks.in_flight must be above 0"),
        ('[egress]\nallow = ["ten"]', "egress.allow: 'ten' is not a network"),
        ('[models."a/b"]\ndir = "x"\nversion = "1"', 'models."a/b".version must be 64 hexadecimal digits'),
        (
            '[models."a/b"]\ndir = "x"\nrerun = "maybe"',
            'models."a/b".rerun must be one of never, unpublished',
        ),
        ('[models."a/b"]\ndir = "x"\nmin_replicas = -1', "min_replicas must not be negative"),
        ('[models."a/b"]\ndir = "x"\nmax_replicas = 0', "max_replicas must be above 0"),
        ('[models."a/b"]\ndir = "x"\nmin_replicas = 2', 'max_replicas must not be below models."a/b".min'),
        ('[models."a/b"]\ndir = "x"\nidle_s = -1', "idle_s must not be negative"),
        ('[models."a/b"]\ndir = "x"\nhardware = "gpu"', "hardware: there is no [hardware.gpu]"),
        ('[hardware.cpu]\ndevices = ["0"]', "hardware.cpu.devices: cpu has none"),
        ('[hardware.gpu]\ndevices = ["0", "0"]', "hardware.gpu.devices: one is named twice"),
        ('[hardware.gpu]\ndevices = ["0,1"]', "hardware.gpu.devices: name one device each"),
        ('[hardware."a gpu"]\nname = "x"', "hardware.'a gpu': a SKU is letters, digits and . - _"),
        ("[server", "is not TOML"),
    ],
)
def test_a_setting_that_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "ringback.toml"
    path.write_text(text)
    with pytest.raises(SetupError) as caught:
        read_config(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_setting_keeps_the_server_from_starting(tmp_path: Path, refused_here: Start) -> None:
    path = tmp_path / "ringback.toml"
    path.write_text("[server]\nprot = 5050\n")
    line = refused_here(ECHO, "--data", str(tmp_path / "data"), "--config", str(path)).line
    assert line == f"{path}: server: there is no setting 'prot'; the nearest is 'port'"
    assert not (tmp_path / "data").exists()


def test_a_configuration_that_is_not_there(tmp_path: Path, refused_here: Start) -> None:
    line = refused_here("--config", str(tmp_path / "none.toml")).line
    assert line.startswith(f"can't read the configuration {tmp_path}/none.toml: ")
