"""The ASGI application: the table of routes, and the base paths that all lead to it."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback import __version__
from ringback.api import files, predictions, problem, webhooks
from ringback.api.service import Service
from ringback.words.errors import RingbackError


async def health(_request: Request) -> Response:
    """GET /health: the server is ready."""
    return Response(f'{{"status":"ok","version":"{__version__}"}}', media_type="application/json")


ROUTES = [
    Route("/health", health),
    Route("/predictions", predictions.create, methods=["POST"]),
    Route("/predictions", predictions.index, methods=["GET"]),
    Route("/predictions/{id}", predictions.get, methods=["GET"]),
    Route("/predictions/{id}/cancel", predictions.cancel, methods=["POST"]),
    Route("/models/{owner}/{name}/predictions", predictions.create_for_model, methods=["POST"]),
    Route("/webhooks/default/secret", webhooks.secret, methods=["GET", "POST"]),
    Route("/webhooks/default/secret/rotate", webhooks.rotate, methods=["POST"]),
    Route("/f/{id}", files.download, methods=["GET"]),
    Route("/f/{id}/{name}", files.download, methods=["GET"]),
]


def application(service: Service) -> ASGIApp:
    """Make the application.

    It answers under `/`, `/v1` and `/v1/v1`: some clients want a base URL with the version in it and some
    without, so that any base URL works with any client.
    """
    app = Starlette(
        routes=ROUTES,
        exception_handlers={
            RingbackError: problem.ringback_error,
            HTTPException: problem.http_error,
            Exception: problem.unexpected,
        },
    )
    app.state.service = service
    app.router.redirect_slashes = False

    async def rebased(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            while path.startswith("/v1/"):
                path = path[3:]
            scope = {**scope, "path": path}
        await app(scope, receive, send)

    return rebased
