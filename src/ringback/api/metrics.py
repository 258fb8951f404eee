"""GET /metrics: the figures, for whom `server.metrics` lets read them."""

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.service import Service
from ringback.store import gauges
from ringback.words.errors import NotFound, Unavailable


async def show(here: Service, request: Request) -> Response:
    """Give the figures in Prometheus' text format, or OpenMetrics' if that is asked for.

    Raises:
        NotFound: they are switched off.
        Unauthenticated: a token is needed, and there is none.
        NotFound: the token is not the operator's: the figures are of all accounts.
    """
    if here.figures.access == "off":
        raise NotFound("The requested resource could not be found.")
    if here.figures.access == "token":
        await here.authenticator.operator(request)
    try:
        found = await here.outbox.database.read(gauges.read)
    except Unavailable:  # the counters say how often that was so
        found = None
    text, kind = here.figures.render(request.headers.get("accept", ""), found, here.in_flight())
    return Response(text, 200, {"content-type": kind})
