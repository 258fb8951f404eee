"""Models over the API: who sees them, what they look like, how they are made, changed and deleted."""

import re
from typing import Any

import pytest

from api.asking import NOT_FOUND, Answer, ask
from api.shop import NEIGHBOUR, TUNED
from support.server import TOKEN, Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

MADE = {"owner": "ringback", "name": "made", "visibility": "public", "hardware": "cpu"}


async def made(shop: Server, name: str, **more: Any) -> dict[str, Any]:
    answer = await ask(shop, "POST", "/v1/models", {**MADE, "name": name, **more})
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.json
    return found


async def show(shop: Server, name: str, token: str = TOKEN) -> Answer:
    return await ask(shop, "GET", f"/v1/models/{name}", token=token)


async def names(shop: Server, path: str = "/v1/models", token: str = TOKEN) -> list[str]:
    """The names on all pages of a list."""
    found: list[str] = []
    url: str | None = path
    while url is not None:
        answer = await ask(shop, "GET", url.removeprefix(shop.url), token=token)
        assert answer.status == 200, answer.body
        found += [f"{item['owner']}/{item['name']}" for item in answer.json["results"]]
        url = answer.json["next"]
    return found


async def test_a_model_has_all_that_clients_read(shop: Server) -> None:
    found = (await show(shop, "test/echo")).json
    assert list(found) == [
        "url",
        "owner",
        "name",
        "description",
        "visibility",
        "is_official",
        "github_url",
        "paper_url",
        "license_url",
        "run_count",
        "cover_image_url",
        "default_example",
        "latest_version",
        "created_at",
    ]
    assert (found["owner"], found["name"], found["visibility"]) == ("test", "echo", "public")
    assert found["is_official"] is False
    version = found["latest_version"]
    assert list(version) == ["id", "created_at", "cog_version", "openapi_schema"]
    assert re.fullmatch(r"[0-9a-f]{64}", version["id"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", version["cog_version"])
    assert "text" in version["openapi_schema"]["components"]["schemas"]["Input"]["properties"]
    one = await ask(shop, "GET", f"/v1/models/test/echo/versions/{version['id']}")
    assert one.json == version


async def test_a_models_url_leads_to_a_page_that_tells_of_private_ones_nothing(shop: Server) -> None:
    url = (await show(shop, "test/echo")).json["url"]
    page = await ask(shop, "GET", url.removeprefix(shop.url), token=None)
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert b"test/echo" in page.body
    hidden = (await show(shop, "ringback/secret")).json["url"]
    answer = await ask(shop, "GET", hidden.removeprefix(shop.url), token=None)
    assert (answer.status, answer.problem) == (404, NOT_FOUND)


async def test_running_a_model_counts(shop: Server) -> None:
    before = (await show(shop, "test/storied")).json["run_count"]
    for _ in range(3):
        await shop.ended((await shop.create("test/storied", {}))["id"])
    assert (await show(shop, "test/storied")).json["run_count"] == before + 3


async def test_a_new_model_is_as_it_was_asked_for(shop: Server) -> None:
    texts = {
        "description": "A model “of mine”",
        "github_url": "https://example.com/code",
        "paper_url": "https://example.com/paper",
        "license_url": "https://example.com/license",
        "cover_image_url": "https://example.com/cover.png",
    }
    found = await made(shop, "asked.for_1-2", **texts)
    assert {key: found[key] for key in texts} == texts
    assert (found["owner"], found["name"], found["run_count"]) == ("ringback", "asked.for_1-2", 0)
    assert found["latest_version"] is None
    assert found["default_example"] is None
    assert (await show(shop, "ringback/asked.for_1-2")).json == found
    assert "ringback/asked.for_1-2" in await names(shop)
    assert (await ask(shop, "GET", "/v1/models/ringback/asked.for_1-2/versions")).json["results"] == []


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"owner": ...}, "required", ""),
        ({"name": ...}, "required", ""),
        ({"visibility": ...}, "required", ""),
        ({"hardware": ...}, "required", ""),
        ({"owner": None}, "invalid_type", "owner"),
        ({"name": None}, "invalid_type", "name"),
        ({"visibility": None}, "invalid_type", "visibility"),
        ({"hardware": None}, "invalid_type", "hardware"),
        ({"owner": 7}, "invalid_type", "owner"),
        ({"owner": "a/b"}, "pattern", "owner"),
        ({"owner": ""}, "pattern", "owner"),
        ({"name": "Made"}, "pattern", "name"),
        ({"name": "-made"}, "pattern", "name"),
        ({"name": "made."}, "pattern", "name"),
        ({"name": "ma de"}, "pattern", "name"),
        ({"name": "made\n"}, "pattern", "name"),
        ({"name": "mäde"}, "pattern", "name"),
        ({"name": "a" * 65}, "string_lte", "name"),
        ({"visibility": "secret"}, "enum", "visibility"),
        ({"visibility": ["public"]}, "invalid_type", "visibility"),
        ({"hardware": "gpu-of-dreams"}, "enum", "hardware"),
        ({"description": {"a": 1}}, "invalid_type", "description"),
        ({"description": "a" * 5001}, "string_lte", "description"),
        ({"description": "a\x00b"}, "format", "description"),
        ({"github_url": "javascript:alert(1)"}, "format", "github_url"),
        ({"paper_url": "//example.com"}, "format", "paper_url"),
        ({"license_url": "https://example.com/" + "a" * 3000}, "format", "license_url"),
        ({"cover_image_url": True}, "invalid_type", "cover_image_url"),
        ({"readme": "# No"}, "additional_property_not_allowed", ""),
        ({"signal": {}}, "additional_property_not_allowed", ""),
    ],
)
async def test_a_wrong_field_is_named(shop: Server, change: dict[str, Any], kind: str, field: str) -> None:
    wanted = {key: value for key, value in {**MADE, **change}.items() if value is not ...}
    answer = await ask(shop, "POST", "/v1/models", wanted)
    assert answer.status == 422
    assert answer.headers["x-should-retry"] == "false"
    assert [(each["type"], each["field"]) for each in answer.problem["invalid_fields"]] == [(kind, field)]


async def test_all_that_is_wrong_is_told_at_once(shop: Server) -> None:
    answer = await ask(shop, "POST", "/v1/models", {"owner": 1, "name": "A", "more": 2})
    fields = [each["field"] for each in answer.problem["invalid_fields"]]
    assert (answer.status, sorted(fields)) == (422, ["", "", "", "name", "owner"])


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"{", b"\xff", b"null"])
async def test_a_body_that_is_no_object_is_malformed(shop: Server, body: bytes) -> None:
    assert (await ask(shop, "POST", "/v1/models", body)).status == 400
    assert (await ask(shop, "PATCH", "/v1/models/test/echo", body)).status == 400


@pytest.mark.parametrize("name", ["test/echo", "ringback/tuned", "test/gone"])
async def test_a_name_that_is_or_was_taken_is_refused(shop: Server, name: str) -> None:
    owner, _, rest = name.partition("/")
    answer = await ask(shop, "POST", "/v1/models", {**MADE, "owner": owner, "name": rest})
    assert answer.status == 409
    assert answer.problem["detail"] == f"A model with the name {name} exists already, or existed."


async def test_a_private_model_is_there_for_its_own_account_only(shop: Server) -> None:
    name = "ringback/secret"
    assert (await show(shop, name)).json["visibility"] == "private"
    assert name in await names(shop)
    assert name not in await names(shop, token=NEIGHBOUR)
    for method, path, body in [
        ("GET", "", None),
        ("PATCH", "", {"description": "mine"}),
        ("DELETE", "", None),
        ("GET", "/readme", None),
        ("GET", "/examples", None),
        ("GET", "/versions", None),
        ("GET", f"/versions/{'4d' * 32}", None),
        ("DELETE", f"/versions/{'4d' * 32}", None),
        ("POST", "/predictions", {"input": {"text": "a"}}),
    ]:
        answer = await ask(shop, method, f"/v1/models/{name}{path}", body, token=NEIGHBOUR)
        assert (method, path, answer.status, answer.problem) == (method, path, 404, NOT_FOUND)
    for reference in ("4d" * 32, name, f"{name}:{'4d' * 32}"):
        wanted = {"version": reference, "input": {"text": "a"}}
        own = await ask(shop, "POST", "/v1/predictions", wanted)
        assert own.status == 201, "remembered for its own account, and still not for others"
        answer = await ask(shop, "POST", "/v1/predictions", wanted, token=NEIGHBOUR)
        assert (answer.status, answer.problem["title"]) == (422, "Invalid version or not permitted")
    for path in ("/v1/search?query=secret", "/v1/collections/first-steps"):
        mine = await ask(shop, "GET", path)
        theirs = await ask(shop, "GET", path, token=NEIGHBOUR)
        assert b"not for you" in mine.body
        assert b"not for you" not in theirs.body
    assert (await ask(shop, "QUERY", "/v1/models", b"secret", token=NEIGHBOUR)).json["results"] == []


async def test_a_public_model_of_another_account_is_to_be_seen_and_not_to_be_changed(shop: Server) -> None:
    name = "ringback/tuned"
    assert (await show(shop, name, NEIGHBOUR)).status == 200
    for method, path, body in [
        ("PATCH", "", {"description": "mine"}),
        ("DELETE", "", None),
        ("DELETE", f"/versions/{TUNED[0]}", None),
    ]:
        answer = await ask(shop, method, f"/v1/models/{name}{path}", body, token=NEIGHBOUR)
        assert (answer.status, answer.problem["detail"]) == (403, f"The model {name} is another account's.")
    assert (await show(shop, name)).json["description"] is None
    assert (await ask(shop, "GET", f"/v1/models/{name}/versions/{TUNED[0]}")).status == 200


async def test_what_the_server_serves_is_changed_by_the_operators_account_only(shop: Server) -> None:
    change = {"description": "says it back"}
    refused = await ask(shop, "PATCH", "/v1/models/test/echo", change, token=NEIGHBOUR)
    assert refused.status == 403
    answer = await ask(shop, "PATCH", "/v1/models/test/echo", change)
    assert (answer.status, answer.json["description"]) == (200, "says it back")
    assert (await show(shop, "test/echo", NEIGHBOUR)).json["description"] == "says it back"


async def test_a_change_leaves_what_it_does_not_name(shop: Server) -> None:
    name = "ringback/" + (await made(shop, "changed", description="first", paper_url="https://a/p"))["name"]
    path = f"/v1/models/{name}"
    texts = {
        "description": "second",
        "readme": "# Read\n\tme",
        "github_url": "https://a/g",
        "weights_url": "https://a/w",
        "license_url": "https://a/l",
    }
    answer = await ask(shop, "PATCH", path, texts)
    assert answer.status == 200
    shown = {key: answer.json[key] for key in (*texts, "paper_url") if key != "readme"}
    assert shown == {**{key: texts[key] for key in texts if key != "readme"}, "paper_url": "https://a/p"}
    assert (await ask(shop, "GET", f"{path}/readme")).body.decode() == texts["readme"]
    answer = await ask(shop, "PATCH", path, {"description": None, "paper_url": "", "weights_url": None})
    found = answer.json
    assert (found["description"], found["paper_url"], found["github_url"]) == (None, None, "https://a/g")
    assert "weights_url" not in found
    assert (await ask(shop, "PATCH", path, {})).json == found


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"visibility": "public"}, "additional_property_not_allowed", ""),
        ({"name": "other"}, "additional_property_not_allowed", ""),
        ({"readme": 3}, "invalid_type", "readme"),
        ({"readme": "a" * 500_001}, "string_lte", "readme"),
        ({"weights_url": "file:///etc/passwd"}, "format", "weights_url"),
    ],
)
async def test_a_wrong_change_is_named(shop: Server, change: dict[str, Any], kind: str, field: str) -> None:
    answer = await ask(shop, "PATCH", "/v1/models/test/echo", change)
    assert answer.status == 422
    assert [(each["type"], each["field"]) for each in answer.problem["invalid_fields"]] == [(kind, field)]


async def test_the_readme_is_the_folders_unless_another_was_given(shop: Server) -> None:
    path = "/v1/models/test/storied/readme"
    answer = await ask(shop, "GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == "# Storied\n\nSays it back: “once”.\n"
    await ask(shop, "PATCH", "/v1/models/test/storied", {"readme": "Another"})
    assert (await ask(shop, "GET", path)).body == b"Another"
    await ask(shop, "PATCH", "/v1/models/test/storied", {"readme": None})
    assert (await ask(shop, "GET", path)).body.startswith(b"# Storied")
    assert (await ask(shop, "GET", "/v1/models/test/echo/readme")).problem == NOT_FOUND


async def test_a_model_that_nothing_hangs_on_can_be_deleted(shop: Server) -> None:
    await made(shop, "short-lived")
    path = "/v1/models/ringback/short-lived"
    answer = await ask(shop, "DELETE", path)
    assert (answer.status, answer.body) == (204, b"")
    assert (await ask(shop, "GET", path)).problem == NOT_FOUND
    assert (await ask(shop, "DELETE", path)).problem == NOT_FOUND
    await made(shop, "short-lived")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "test/echo",
            'The configuration of the server serves test/echo: take [models."test/echo"] out of it.',
        ),
        ("ringback/tuned", "The model ringback/tuned has versions: delete them first."),
    ],
)
async def test_a_model_that_is_needed_stays(shop: Server, name: str, reason: str) -> None:
    answer = await ask(shop, "DELETE", f"/v1/models/{name}")
    assert (answer.status, answer.problem["detail"]) == (409, reason)
    assert (await show(shop, name)).status == 200


async def test_a_model_without_a_version_says_so_when_it_is_to_run(shop: Server) -> None:
    await made(shop, "unborn")
    answer = await ask(shop, "POST", "/v1/models/ringback/unborn/predictions", {"input": {}})
    assert answer.status == 422
    assert answer.problem["detail"].startswith("The model ringback/unborn has no version yet")
    answer = await ask(shop, "POST", "/v1/predictions", {"version": "ringback/unborn", "input": {}})
    assert answer.status == 422


async def test_a_model_that_is_no_longer_served_is_gone(shop: Server) -> None:
    assert (await show(shop, "test/gone")).problem == NOT_FOUND
    assert "test/gone" not in await names(shop)
    for method, path in [("GET", "/versions"), ("GET", "/readme"), ("GET", "/examples")]:
        assert (await ask(shop, method, f"/v1/models/test/gone{path}")).problem == NOT_FOUND
    answer = await ask(shop, "POST", "/v1/predictions", {"version": "3c" * 32, "input": {"text": "a"}})
    assert answer.status == 422
    answer = await ask(shop, "POST", "/v1/models/test/gone/predictions", {"input": {"text": "a"}})
    assert answer.status == 404


async def test_every_model_is_on_one_page_whichever_way_one_goes(shop: Server) -> None:
    for number in range(60):
        await made(shop, f"many-{number:02}")
    for order in ("model_created_at", "latest_version_created_at"):
        for direction in ("asc", "desc"):
            await _walked(shop, f"/v1/models?sort_by={order}&sort_direction={direction}")
    by_age = await names(shop, "/v1/models?sort_by=model_created_at&sort_direction=desc")
    assert [name for name in by_age if "/many-" in name] == [
        f"ringback/many-{n:02}" for n in range(59, -1, -1)
    ]
    latest = await names(shop)
    assert latest.index("test/echo") < latest.index("ringback/tuned") < latest.index("ringback/many-00")


async def _walked(shop: Server, path: str) -> None:
    page = (await ask(shop, "GET", path)).json
    assert page["previous"] is None
    pages = [page["results"]]
    while page["next"] is not None:
        assert page["next"].startswith(f"{shop.url}/v1/models?sort_by=")
        page = (await ask(shop, "GET", page["next"].removeprefix(shop.url))).json
        pages.append(page["results"])
    there = [item["url"] for results in pages for item in results]
    assert len(there) == len(set(there)) >= 60
    back = pages[-1]
    while page["previous"] is not None:
        page = (await ask(shop, "GET", page["previous"].removeprefix(shop.url))).json
        back = page["results"] + back
    assert [item["url"] for item in back] == there


@pytest.mark.parametrize(
    "query",
    [
        "sort_by=name",
        "sort_by=",
        "sort_direction=up",
        "cursor=",
        "cursor=x",
        "cursor=bmV4dD0xLmEvYgo",
        "cursor=%00",
    ],
)
async def test_a_wrong_query_of_the_list_is_refused(shop: Server, query: str) -> None:
    answer = await ask(shop, "GET", f"/v1/models?{query}")
    assert answer.status == 422
    assert answer.problem["invalid_fields"][0]["field"] == query.partition("=")[0]


async def test_what_the_list_does_not_know_is_ignored(shop: Server) -> None:
    answer = await ask(shop, "GET", "/v1/models?flavour=sweet")
    assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/v1/models/test/echo", "/v1/models/test/echo/versions", "/v1/hardware", "/v1/account"],
)
async def test_head_answers_as_get_does_without_the_body(shop: Server, path: str) -> None:
    head, get = await ask(shop, "HEAD", path), await ask(shop, "GET", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))


async def test_a_method_that_is_not_there_is_told_which_are(shop: Server) -> None:
    answer = await ask(shop, "PUT", "/v1/models", {})
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST", "QUERY"}
    answer = await ask(shop, "POST", "/v1/models/test/echo", {})
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PATCH", "DELETE"}
