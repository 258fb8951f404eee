"""Extra headers from the configuration to the receiver, through a real server."""

from pathlib import Path

from serve.starting import refused
from support.receiver import receiving
from support.server import model, serving

SECRET = "header-secret-7f3a"
SETTINGS = """
[server]
log_level = "debug"

[egress.headers."{origin}/hook"]
x-gateway-key = "env:THE_GATEWAY_KEY"
x-team = "renderers"
"""


async def test_a_webhook_carries_the_headers_of_its_destination(tmp_path: Path) -> None:
    async with receiving() as receiver:
        config = tmp_path / "ringback.toml"
        config.write_text(SETTINGS.format(origin=receiver.url.removesuffix("/hook")))
        async with serving(
            model("test/echo", "echo"),
            "--config",
            str(config),
            data=tmp_path / "data",
            env={"THE_GATEWAY_KEY": SECRET},
        ) as server:
            for url in (receiver.url, receiver.url.replace("/hook", "/other")):
                await server.create("test/echo", {"text": "hello"}, webhook=url)
            await receiver.until(lambda r: {item.path for item in r.acknowledged} == {"/hook", "/other"})
            server.process.terminate()
            assert await server.stopped() == 0
            assert SECRET not in server.log()
    for item in receiver.received:
        expected = (SECRET, "renderers") if item.path == "/hook" else (None, None)
        assert (item.headers.get("x-gateway-key"), item.headers.get("x-team")) == expected


def test_a_variable_that_is_not_set_keeps_the_server_from_starting(tmp_path: Path) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text(SETTINGS.format(origin="https://api.example.com"))
    line = refused(tmp_path / "data", "--config", str(config)).line
    assert line == "egress.headers: the environment variable THE_GATEWAY_KEY is not set"
