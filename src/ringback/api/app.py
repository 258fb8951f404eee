"""The ASGI application: the table of routes, and the base paths that all lead to it.

Starlette's Router and requests, without its middleware: that wraps each request three times to do what
`_Endpoint` does once, at half of what a create costs.
"""

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback import __version__
from ringback.api import (
    deliveries,
    endpoints,
    files,
    metrics,
    pages,
    predictions,
    resends,
    samples,
    streams,
    trainings,
    webhooks,
)
from ringback.api.problem import answer
from ringback.api.service import Service
from ringback.api.turns import Turns

Handler = Callable[[Service, Request], Awaitable[Response]]


async def health(_here: Service, _request: Request) -> Response:
    """GET /health: the server is ready."""
    return Response(f'{{"status":"ok","version":"{__version__}"}}', media_type="application/json")


ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", "/predictions", predictions.create),
    ("GET", "/predictions/{id}", predictions.get),
    ("GET", "/predictions", predictions.index),
    ("POST", "/predictions/{id}/cancel", predictions.cancel),
    ("POST", "/models/{owner}/{name}/predictions", predictions.create_for_model),
    ("POST", "/models/{owner}/{name}/versions/{id}/trainings", trainings.create),
    ("GET", "/trainings", trainings.index),
    ("GET", "/trainings/{id}", trainings.get),
    ("POST", "/trainings/{id}/cancel", trainings.cancel),
    ("GET", "/stream/{id}/{key}", streams.stream),
    ("GET", "/webhooks/default/secret", webhooks.secret),
    ("POST", "/webhooks/default/secret", webhooks.secret),
    ("POST", "/webhooks/default/secret/rotate", webhooks.rotate),
    ("GET", "/webhooks/default/secrets", webhooks.secrets),
    ("POST", "/webhooks/default/key/rotate", webhooks.rotate_key),
    ("GET", "/.well-known/jwks.json", webhooks.jwks),
    ("GET", "/webhooks/deliveries", deliveries.index),
    ("GET", "/webhooks/deliveries/{id}", deliveries.get),
    ("POST", "/webhooks/deliveries/{id}/resend", resends.one),
    ("POST", "/webhooks/resend", resends.dead),
    ("GET", "/webhooks/endpoints", endpoints.index),
    ("POST", "/webhooks/endpoints/pause", endpoints.pause),
    ("POST", "/webhooks/endpoints/resume", endpoints.resume),
    ("POST", "/webhooks/test", samples.send),
    ("GET", "/f/{id}", files.download),
    ("GET", "/f/{id}/{name}", files.download),
    ("GET", "/p/{id}", pages.prediction),
    ("GET", "/health", health),
    ("GET", "/metrics", metrics.show),
]


class _Endpoint:
    """The handlers of a path as an ASGI application; every error becomes an answer here."""

    def __init__(self, here: Service, path: str) -> None:
        self._here = here
        self.handlers = {method: handler for method, other, handler in ROUTES if other == path}
        if "GET" in self.handlers:
            self.handlers["HEAD"] = self.handlers["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self.handlers[request.method](self._here, request)
        except Exception as error:  # the boundary: a fault of ours is logged and answered 500
            response = answer(request, error)
        await response(scope, receive, send)


def application(here: Service) -> ASGIApp:
    """Make the application.

    It answers under `/`, `/v1` and `/v1/v1`: some clients want a base URL with the version in it and some
    without, so that any base URL works with any client.
    """
    # One route for each path: a 405 then names all of its methods.
    endpoints = {path: _Endpoint(here, path) for _, path, _ in ROUTES}
    routes = [Route(path, endpoint, methods=endpoint.handlers) for path, endpoint in endpoints.items()]
    router = Router(routes, redirect_slashes=False)
    turns = Turns(here.in_flight)

    async def rebased(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await turns.turn()
        path = scope["path"]
        while path.startswith("/v1/"):
            path = path[3:]
        scope["path"] = path
        scope["app"] = router  # with this, the router raises where it would answer in plain text
        try:
            await router(scope, receive, send)
        except HTTPException as error:
            await answer(Request(scope), error)(scope, receive, send)

    return rebased
