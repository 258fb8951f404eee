"""As many models and deployments as an account may have."""

import sqlite3
from contextlib import closing

import pytest

from api.asking import ask
from api.shop import NEIGHBOUR, OLD, data_of
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


def insert(shop: Server, sql: str) -> None:
    """Write a thousand rows beside the running server, `?` standing for their numbers."""
    with closing(sqlite3.connect(data_of(shop) / "ringback.sqlite", timeout=10)) as connection, connection:
        connection.executemany(sql, [(f"{number:04}",) for number in range(1000)])


async def test_an_account_makes_a_thousand_models_and_each_is_found(shop: Server) -> None:
    insert(
        shop,
        "INSERT INTO models (name, account_id, made_by, description, created_at)"
        " VALUES ('neighbour/m' || ?, 'acct_2', 'api', 'one of many', 0)",
    )
    body = {"owner": "neighbour", "name": "more", "visibility": "public", "hardware": "cpu"}
    answer = await ask(shop, "POST", "/v1/models", body, token=NEIGHBOUR)
    assert answer.status == 409
    assert "There are 1,000 models of this account already" in answer.problem["detail"]
    assert (await ask(shop, "POST", "/v1/models", {**body, "owner": "ringback"})).status == 201
    for name in ("m0000", "m0123", "m0999"):
        (item,) = (await ask(shop, "GET", f"/v1/search?query={name}+many")).json["models"]
        assert item["model"]["name"] == name
    assert len((await ask(shop, "GET", "/v1/search?query=many")).json["models"]) == 20
    assert len((await ask(shop, "GET", "/v1/search?query=many&limit=50")).json["models"]) == 50
    assert len((await ask(shop, "QUERY", "/v1/models", b"many")).json["results"]) == 50


async def test_an_account_makes_a_thousand_deployments(shop: Server) -> None:
    insert(
        shop,
        "INSERT INTO deployments (name, account_id, model, version_id, hardware, min_instances,"
        " max_instances, released_at, created_at)"
        f" VALUES ('neighbour/d' || ?, 'acct_2', 'test/echo', '{OLD}', 'cpu', 0, 1, 0, 0)",
    )
    values = {"hardware": "cpu", "min_instances": 0, "max_instances": 1}
    body = {"name": "more", "model": "test/echo", "version": OLD, **values}
    answer = await ask(shop, "POST", "/v1/deployments", body, token=NEIGHBOUR)
    assert answer.status == 409
    assert "There are 1,000 deployments of this account already" in answer.problem["detail"]
    assert (await ask(shop, "POST", "/v1/deployments", body)).status == 200
