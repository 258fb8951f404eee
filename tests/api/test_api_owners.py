"""In whose name a model may be made."""

import pytest

from api.asking import ask
from api.shop import NEIGHBOUR
from support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

MADE = {"owner": "ringback", "name": "made", "visibility": "public", "hardware": "cpu"}


async def test_nobody_makes_a_model_in_another_accounts_name(shop: Server) -> None:
    answer = await ask(shop, "POST", "/v1/models", {**MADE, "owner": "neighbour"})
    assert (answer.status, answer.problem["detail"]) == (403, "The owner neighbour is another account.")
    assert (await ask(shop, "GET", "/v1/models/neighbour/made")).status == 404
    own = await ask(shop, "POST", "/v1/models", {**MADE, "owner": "neighbour"}, token=NEIGHBOUR)
    assert own.status == 201


@pytest.mark.parametrize("owner", ["ringback", "test", "acme"])
async def test_only_the_first_account_makes_models_in_a_name_that_is_not_its_own(
    shop: Server, owner: str
) -> None:
    """The operator may serve a model of that name one day, and then it must be nobody else's."""
    wanted = {**MADE, "owner": owner, "name": "free"}
    answer = await ask(shop, "POST", "/v1/models", wanted, token=NEIGHBOUR)
    assert answer.status == 422
    assert answer.problem["invalid_fields"] == [
        {"type": "enum", "field": "owner", "description": 'Must be the name of your account: "neighbour"'}
    ]
    assert (await ask(shop, "POST", "/v1/models", wanted)).status == 201
