"""What the catalog remembers is for those it was found for."""

from pathlib import Path

import pytest

from ringback.api.catalog import Catalog
from ringback.store import models, versions
from ringback.words.errors import Invalid
from store.world import ACCOUNT, VERSION, opened

PRIVATE = "ringback/private"
SCHEMA = '{"components":{"schemas":{"Input":{"type":"object"}}}}'


async def test_a_private_model_that_its_account_looked_up_is_not_there_for_another(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as world:
        new = models.New(PRIVATE, ACCOUNT, "private", "cpu", None, None, None, None, None)
        await world.database.write(lambda tx: models.create(tx, new))
        await world.database.write(
            lambda tx: versions.register(tx, VERSION, PRIVATE, "predict.py:run", SCHEMA, [])
        )
        catalog = Catalog(world.database, lambda: 0.0)
        for reference in (PRIVATE, f"{PRIVATE}:{VERSION}", VERSION):
            assert (await catalog.resolve(ACCOUNT, reference)).id == VERSION
            with pytest.raises(Invalid, match="does not exist"):
                await catalog.resolve("acct_other", reference)
