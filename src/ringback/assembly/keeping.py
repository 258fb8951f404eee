"""The files that people send: where they are kept, opened, and how the API and the worker use them."""

from ringback.api.keeping import Uploads
from ringback.assembly import delivering, opening
from ringback.assembly.config import Config
from ringback.assembly.data import DataFolder
from ringback.assembly.world import World
from ringback.blobs.local import local
from ringback.store.database import Database
from ringback.words.errors import SetupError
from ringback.work.inputs import InputRules
from ringback.work.uploads import Sent


async def opened(data: DataFolder, database: Database) -> Sent:
    """Open the files of the data folder; bytes that a crash left without a row are removed.

    Raises:
        SetupError: their folder can't be used.
    """
    try:
        sent = Sent(database, local(data.uploads))
    except OSError as error:
        raise SetupError(
            f"can't use {data.uploads}: {error.strerror}; give another folder with --data"
        ) from None
    await sent.sweep()
    return sent


async def uploads(config: Config, database: Database, world: World, sent: Sent) -> Uploads:
    """Make what the API keeps files with."""
    key = await opening.server_key(database, world, "files")
    return Uploads(sent.blobs, key, config.files.limit, config.files.keep_s)


def input_rules(config: Config) -> InputRules:
    """Give the limits on files that inputs name by URL."""
    return InputRules(delivering.address_rules(config), config.inputs.limit, config.inputs.timeout_s)
