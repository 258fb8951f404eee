"""The commands that need the data folder, not a token: they are the operator's."""

from typing import Annotated, Any

import typer

from ringback.assembly.orders import Order

Data = Annotated[str, typer.Option("--data", envvar="RINGBACK_DATA", help="The server's data folder.")]


def order(data: str, wanted: Order) -> Any:
    """Have the server of a data folder carry out an order, or do it here if none is running.

    Raises:
        CommandFailed: it was not done; says why.
        SetupError: the data folder can't be used.
    """
    # Loaded only here: most commands need none of it.
    from ringback.assembly import control, operator  # noqa: PLC0415
    from ringback.assembly.world import World  # noqa: PLC0415

    return control.order(data, wanted, lambda folder, order: operator.alone(World(), folder, order))
