"""Several accounts: with the token of one, nothing of another is there, on any route.

A route that is new fails here until somebody has said what a stranger sees of it.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.asking import Answer, ask
from commands.running import run
from ringback.api.app import ROUTES
from support.receiver import Receiver, receiving
from support.server import TOKEN, Server, model, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIDDEN, PUBLIC = "hidden", "public"
POINTS = "data:text/csv,1%2C3%0A2%2C6"


@dataclass(frozen=True)
class Seen:
    """What a stranger sees of a route.

    Attributes:
        what: HIDDEN: 404, as for what does not exist; PUBLIC: it asks for no token, its URL is the key (or it
            is everybody's); a status: that, and nothing of the first account.
        path: the route's path with names in braces, of what belongs to the first account.
        body: JSON to send, its texts with names in braces too.
        allowed: marks of the first account that the answer may well repeat, because the request named them.
    """

    what: str | int
    path: str = ""
    body: Any = None
    allowed: tuple[str, ...] = ()


VERSION = "/models/{model}/versions/{version}"
INPUT = {"input": {"text": "hi"}}
SEEN: dict[tuple[str, str], Seen] = {
    ("POST", "/predictions"): Seen(422, body={"version": "{model}", **INPUT}),
    ("GET", "/predictions/{id}"): Seen(HIDDEN, "/predictions/{prediction}"),
    ("GET", "/predictions"): Seen(200),
    ("POST", "/predictions/{id}/cancel"): Seen(HIDDEN, "/predictions/{running}/cancel"),
    ("GET", "/account"): Seen(200),
    ("GET", "/collections"): Seen(200),
    ("GET", "/collections/{slug}"): Seen(200, "/collections/all"),
    ("GET", "/deployments"): Seen(200),
    ("POST", "/deployments"): Seen(
        422,
        body={
            "name": "mine",
            "model": "{model}",
            "version": "{version}",
            "hardware": "cpu",
            "min_instances": 0,
            "max_instances": 1,
        },
    ),
    ("GET", "/deployments/{owner}/{name}"): Seen(HIDDEN, "/deployments/{deployment}"),
    ("PATCH", "/deployments/{owner}/{name}"): Seen(HIDDEN, "/deployments/{deployment}", {"max_instances": 2}),
    ("DELETE", "/deployments/{owner}/{name}"): Seen(HIDDEN, "/deployments/{deployment}"),
    ("POST", "/deployments/{owner}/{name}/predictions"): Seen(
        HIDDEN, "/deployments/{deployment}/predictions", INPUT
    ),
    ("GET", "/hardware"): Seen(200),
    ("GET", "/models"): Seen(200),
    ("POST", "/models"): Seen(
        422, body={"owner": "ringback", "name": "new", "visibility": "public", "hardware": "cpu"}
    ),
    ("QUERY", "/models"): Seen(200, body=b"private"),
    ("GET", "/models/{owner}/{name}"): Seen(HIDDEN, "/models/{model}"),
    ("PATCH", "/models/{owner}/{name}"): Seen(HIDDEN, "/models/{model}", {"description": "mine"}),
    ("DELETE", "/models/{owner}/{name}"): Seen(HIDDEN, "/models/{model}"),
    ("GET", "/models/{owner}/{name}/examples"): Seen(HIDDEN, "/models/{model}/examples"),
    ("POST", "/models/{owner}/{name}/predictions"): Seen(HIDDEN, "/models/{model}/predictions", INPUT),
    ("GET", "/models/{owner}/{name}/readme"): Seen(HIDDEN, "/models/{model}/readme"),
    ("GET", "/models/{owner}/{name}/versions"): Seen(HIDDEN, "/models/{model}/versions"),
    ("GET", "/models/{owner}/{name}/versions/{id}"): Seen(HIDDEN, VERSION),
    ("DELETE", "/models/{owner}/{name}/versions/{id}"): Seen(HIDDEN, VERSION),
    ("GET", "/search"): Seen(200, "/search?query=private"),
    ("POST", "/models/{owner}/{name}/versions/{id}/trainings"): Seen(
        HIDDEN, f"{VERSION}/trainings", {"destination": "test/line", "input": {"points": POINTS}}
    ),
    ("GET", "/trainings"): Seen(200),
    ("GET", "/trainings/{id}"): Seen(HIDDEN, "/trainings/{training}"),
    ("POST", "/trainings/{id}/cancel"): Seen(HIDDEN, "/trainings/{training}/cancel"),
    ("GET", "/stream/{id}/{key}"): Seen(HIDDEN, "/stream/{prediction}/guessed"),
    ("GET", "/webhooks/default/secret"): Seen(200),
    ("POST", "/webhooks/default/secret"): Seen(200),
    ("POST", "/webhooks/default/secret/rotate"): Seen(200),
    ("GET", "/webhooks/default/secrets"): Seen(200),
    ("POST", "/webhooks/default/key/rotate"): Seen(HIDDEN),
    ("GET", "/.well-known/jwks.json"): Seen(PUBLIC),
    ("GET", "/webhooks/deliveries"): Seen(200),
    ("GET", "/webhooks/deliveries/{id}"): Seen(HIDDEN, "/webhooks/deliveries/{delivery}"),
    ("POST", "/webhooks/deliveries/{id}/resend"): Seen(
        HIDDEN, "/webhooks/deliveries/{delivery}/resend", allowed=("delivery", "prediction")
    ),
    ("POST", "/webhooks/resend"): Seen(200, body={"endpoint": "{webhook}"}, allowed=("webhook",)),
    ("GET", "/webhooks/endpoints"): Seen(200),
    ("POST", "/webhooks/endpoints/pause"): Seen(200, body={"url": "{webhook}"}, allowed=("webhook",)),
    ("POST", "/webhooks/endpoints/resume"): Seen(200, body={"url": "{webhook}"}, allowed=("webhook",)),
    ("POST", "/webhooks/test"): Seen(HIDDEN, body={"url": "{receiver}", "model": "{model}"}),
    ("POST", "/files"): Seen(201, body=b"mine"),
    ("GET", "/files"): Seen(200),
    ("GET", "/files/{id}"): Seen(HIDDEN, "/files/{file}"),
    ("DELETE", "/files/{id}"): Seen(HIDDEN, "/files/{file}"),
    ("GET", "/files/{id}/download"): Seen(
        HIDDEN, "/files/{file}/download?owner=bert&expiry=4102444800&signature=Z3Vlc3NlZA%3D%3D"
    ),
    ("GET", "/f/{id}"): Seen(PUBLIC),
    ("GET", "/f/{id}/{name}"): Seen(PUBLIC),
    ("GET", "/p/{id}"): Seen(PUBLIC),
    ("GET", "/m/{owner}/{name}"): Seen(HIDDEN, "/m/{model}"),
    ("GET", "/"): Seen(PUBLIC),
    ("GET", "/health"): Seen(PUBLIC),
    ("GET", "/metrics"): Seen(HIDDEN),
    ("GET", "/openapi.json"): Seen(PUBLIC),
    ("GET", "/docs"): Seen(PUBLIC),
}


@dataclass
class House:
    """A server with two accounts; `own` is what the first one has, by what it is called in `SEEN`."""

    server: Server
    data: Path
    stranger: str
    own: dict[str, str] = field(default_factory=dict)

    def filled(self, value: Any) -> Any:
        """Put the first account's things in the place of their names."""
        if isinstance(value, dict):
            return {key: self.filled(each) for key, each in value.items()}
        if isinstance(value, str):
            for name, text in self.own.items():
                value = value.replace(f"{{{name}}}", text)
        return value

    def told(self, answer: Answer, seen: Seen) -> list[str]:
        """What an answer tells of the first account."""
        said = answer.body.decode() + json.dumps(dict(answer.headers))
        return [
            name
            for name, text in self.own.items()
            if text in said and name not in seen.allowed and name != "receiver"
        ]

    async def asked(self, method: str, route: str, seen: Seen, token: str | None) -> Answer:
        body = seen.body if isinstance(seen.body, bytes) else self.filled(seen.body)
        path = self.filled(seen.path or route)
        if route == "/files" and method == "POST":
            return await _sent(self.server, token, body)
        return await ask(self.server, method, f"/v1{path}", body, token=token)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def elsewhere() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory, elsewhere: Receiver) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("accounts")
    config = folder / "ringback.toml"
    config.write_text('[webhooks]\nv1a = true\n[collections.all]\nname = "All"\nmodels = ["test/echo"]\n')
    data = folder / "data"
    models = [model("test/echo", "echo"), model("test/line", "line"), model("test/behave", "behave")]
    async with serving(*models, "--config", str(config), data=data) as server:
        stranger = (await run("token", "new", "--account", "bert", data=data)).out.strip()
        found = House(server, data, stranger)
        await _furnish(found, elsewhere)
        yield found
        assert "Traceback" not in server.log()


async def _furnish(house: House, elsewhere: Receiver) -> None:
    """Give the first account one of everything."""
    server, own = house.server, house.own
    own["receiver"] = elsewhere.url
    own["webhook"] = f"{elsewhere.url}/of-the-first"
    own["model"] = await _private_model(server)
    hook = {"webhook": own["webhook"], "webhook_events_filter": ["completed"]}
    made = await server.create("test/echo", {"text": "of the first account"}, **hook)
    own["prediction"], own["delivery"] = made["id"], f"evt_{made['id']}_1"
    own["version"], own["training"] = await _trained(server, own["model"])
    running = await server.create("test/behave", {"mode": "hangs"})
    own["running"] = running["id"]
    await server.ended(made["id"])
    wanted = {"hardware": "cpu", "min_instances": 0, "max_instances": 1}
    status, deployed = await server.call(
        "POST",
        "/v1/deployments",
        {"name": "first", "model": own["model"], "version": own["version"], **wanted},
    )
    assert status == 200, deployed
    own["deployment"] = "ringback/first"
    sent = await _sent(server, TOKEN, b"of the first account")
    assert sent.status == 201, sent.body
    own["file"] = sent.json["id"]
    own["secret"] = await server.secret()
    await elsewhere.until(lambda found: len(found.acknowledged) == 1)


async def _private_model(server: Server) -> str:
    wanted = {"owner": "ringback", "name": "private-one", "visibility": "private", "hardware": "cpu"}
    status, made = await server.call("POST", "/v1/models", {**wanted, "description": "private"})
    assert status == 201, made
    return f"{made['owner']}/{made['name']}"


async def _trained(server: Server, destination: str) -> tuple[str, str]:
    """Train a version of the private model; give the version's id and the training's."""
    _, line = await server.call("GET", "/v1/models/test/line")
    path = f"/v1/models/test/line/versions/{line['latest_version']['id']}/trainings"
    status, made = await server.call("POST", path, {"destination": destination, "input": {"points": POINTS}})
    assert status == 201, made
    async with asyncio.timeout(60):
        while True:
            _, found = await server.call("GET", f"/v1/trainings/{made['id']}")
            if found["status"] == "succeeded":
                return str(found["output"]["version"]).partition(":")[2], str(made["id"])
            assert found["status"] in ("starting", "processing"), found
            await asyncio.sleep(0.01)  # a client's poll; there is no event to wait on


async def _sent(server: Server, token: str | None, content: bytes) -> Answer:
    head = b'--x\r\ncontent-disposition: form-data; name="content"; filename="a.txt"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    return await ask(
        server, "POST", "/v1/files", head + content + b"\r\n--x--\r\n", token=token, headers=headers
    )


async def test_each_route_is_named_here_with_what_a_stranger_sees_of_it() -> None:
    assert set(SEEN) == {(method, path) for method, path, _ in ROUTES}


@pytest.mark.parametrize(("method", "route"), SEEN)
async def test_with_another_accounts_token_nothing_of_the_first_is_there(
    house: House, method: str, route: str
) -> None:
    seen = SEEN[method, route]
    if seen.what == PUBLIC:
        return
    answer = await house.asked(method, route, seen, house.stranger)
    assert answer.status == (404 if seen.what == HIDDEN else seen.what), answer.body
    assert house.told(answer, seen) == []


@pytest.mark.parametrize(("method", "route"), [key for key, seen in SEEN.items() if seen.what == HIDDEN])
async def test_it_is_answered_as_what_does_not_exist(house: House, method: str, route: str) -> None:
    """Byte by byte, or the answer itself would tell."""
    seen = SEEN[method, route]
    nothing = {
        **house.own,
        "prediction": "01jc0v5m6y4q0w8zj3k2n1p0r9",
        "running": "01jc0v5m6y4q0w8zj3k2n1p0r9",
        "training": "01jc0v5m6y4q0w8zj3k2n1p0r9",
        "delivery": "evt_01jc0v5m6y4q0w8zj3k2n1p0r9_1",
        "model": "ringback/nothing",
        "version": "0" * 64,
        "deployment": "ringback/nothing",
        "file": "0" * len(house.own["file"]),
    }
    empty = House(house.server, house.data, house.stranger, nothing)
    real = await house.asked(method, route, seen, house.stranger)
    unreal = await empty.asked(method, route, seen, house.stranger)
    named = real.body.replace(house.own["delivery"].encode(), nothing["delivery"].encode())
    assert (real.status, named) == (unreal.status, unreal.body)


@pytest.mark.parametrize(
    ("method", "route"),
    [
        key
        for key, seen in SEEN.items()
        if seen.what == HIDDEN and key[1] not in ("/stream/{id}/{key}", "/m/{owner}/{name}")
        if key[0] == "GET" and key[1] != "/files/{id}/download"
    ],
)
async def test_the_first_account_does_see_it(house: House, method: str, route: str) -> None:
    """Or the tests above would be about nothing."""
    answer = await house.asked(method, route, SEEN[method, route], TOKEN)
    assert answer.status == 200 or (route.endswith("/readme") and answer.status == 404), answer.body


@pytest.mark.parametrize(
    ("method", "route"),
    [key for key, seen in SEEN.items() if seen.what != PUBLIC and key[1] != "/m/{owner}/{name}"],
)
async def test_without_a_token_it_is_refused(house: House, method: str, route: str) -> None:
    seen = SEEN[method, route]
    answer = await house.asked(method, route, seen, None)
    is_keyed = route in ("/stream/{id}/{key}", "/files/{id}/download")
    assert answer.status == (404 if is_keyed else 401), answer.body
    assert house.told(answer, seen) == []


async def test_nothing_that_the_stranger_did_has_changed_anything(house: House) -> None:
    """The walk has cancelled, deleted, rotated, paused and sent again whatever it could name."""
    server, own = house.server, house.own
    _, running = await server.call("GET", f"/v1/predictions/{own['running']}")
    assert running["status"] in ("starting", "processing")
    assert await server.secret() == own["secret"]
    _, page = await server.call("GET", "/v1/webhooks/endpoints")
    assert [each["state"] for each in page["results"] if each["url"] == own["webhook"]] == ["open"]
    for path in ("models/{model}", "deployments/{deployment}", "files/{file}", "models/{model}/versions"):
        status, found = await server.call("GET", f"/v1/{house.filled(path)}")
        assert status == 200, path
        assert "mine" not in json.dumps(found)
    _, shown = await server.call("GET", f"/v1/webhooks/deliveries/{own['delivery']}")
    assert shown["attempts"] == 1


async def test_another_accounts_file_as_an_input_is_refused_as_one_that_is_not_there(house: House) -> None:
    """Named by its URL, which is no secret: it has to be told apart by whose it is."""
    _, line = await house.server.call("GET", "/v1/models/test/line")
    path = f"/v1/models/test/line/versions/{line['latest_version']['id']}/trainings"
    answers = []
    for id_ in (house.own["file"], "0" * len(house.own["file"])):
        url = f"{house.server.url}/v1/files/{id_}"
        body = {"destination": "bert/model", "input": {"points": url}}
        await ask(
            house.server,
            "POST",
            "/v1/models",
            {"owner": "bert", "name": "model", "visibility": "private", "hardware": "cpu"},
            token=house.stranger,
        )
        answer = await ask(house.server, "POST", path, body, token=house.stranger)
        answers.append((answer.status, answer.body.replace(id_.encode(), b"")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 422


async def test_another_accounts_version_is_not_there_by_its_id_either(house: House) -> None:
    for reference in (house.own["version"], f"{house.own['model']}:{house.own['version']}"):
        body = {"version": reference, "input": {"x": 1}}
        assert (await ask(house.server, "POST", "/v1/predictions", body)).status == 201
        refused = await ask(house.server, "POST", "/v1/predictions", body, token=house.stranger)
        assert refused.status == 422
        assert refused.problem["title"] == "Invalid version or not permitted"


async def test_what_is_served_for_all_is_changed_by_the_first_account_only(house: House) -> None:
    path = "/v1/models/test/echo"
    change = {"description": "mine"}
    assert (await ask(house.server, "PATCH", path, change, token=house.stranger)).status == 403
    assert (await ask(house.server, "DELETE", path, token=house.stranger)).status == 403
    _, line = await house.server.call("GET", "/v1/models/test/line")
    train = f"/v1/models/test/line/versions/{line['latest_version']['id']}/trainings"
    body = {"destination": "test/line", "input": {"points": POINTS}}
    assert (await ask(house.server, "POST", train, body, token=house.stranger)).status == 404
