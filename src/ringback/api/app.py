"""The ASGI application: the table of routes, and the base paths that all lead to it.

Starlette's Router and requests, without its middleware: that wraps each request three times to do what
`_Endpoint` does once, at half of what a create costs.
"""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback import __version__
from ringback.api import (
    account,
    collections,
    deliveries,
    deployments,
    endpoints,
    files,
    hardware,
    metrics,
    models,
    openapi,
    pages,
    predictions,
    resends,
    samples,
    search,
    streams,
    trainings,
    uploads,
    versions,
    webhooks,
)
from ringback.api.cors import shared
from ringback.api.forwarded import Forwarded
from ringback.api.limits import headers as limits_left
from ringback.api.problem import answer
from ringback.api.service import Service
from ringback.api.turns import Turns

Handler = Callable[[Service, Request], Awaitable[Response]]

_VERSIONS = 2
"""How often `/v1` may stand before a path: once from the base URL, once from the client."""


async def root(here: Service, _request: Request) -> Response:
    """GET /: what this is, for whoever has only the address."""
    base = here.links.base
    body = {"server": "ringback", "docs": f"{base}/docs", "health": f"{base}/health"}
    return Response(msgspec.json.encode(body), media_type="application/json")


async def health(_here: Service, _request: Request) -> Response:
    """GET /health: the server is ready."""
    return Response(f'{{"status":"ok","version":"{__version__}"}}', media_type="application/json")


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/", root),
    ("POST", "/predictions", predictions.create),
    ("GET", "/predictions/{id}", predictions.get),
    ("GET", "/predictions", predictions.index),
    ("POST", "/predictions/{id}/cancel", predictions.cancel),
    ("GET", "/account", account.get),
    ("GET", "/collections", collections.index),
    ("GET", "/collections/{slug}", collections.get),
    ("GET", "/deployments", deployments.index),
    ("POST", "/deployments", deployments.create),
    ("GET", "/deployments/{owner}/{name}", deployments.get),
    ("PATCH", "/deployments/{owner}/{name}", deployments.update),
    ("DELETE", "/deployments/{owner}/{name}", deployments.delete),
    ("POST", "/deployments/{owner}/{name}/predictions", deployments.create_prediction),
    ("GET", "/hardware", hardware.index),
    ("GET", "/models", models.index),
    ("POST", "/models", models.create),
    ("QUERY", "/models", search.in_models),
    ("GET", "/models/{owner}/{name}", models.get),
    ("PATCH", "/models/{owner}/{name}", models.update),
    ("DELETE", "/models/{owner}/{name}", models.delete),
    ("GET", "/models/{owner}/{name}/examples", models.list_examples),
    ("POST", "/models/{owner}/{name}/predictions", predictions.create_for_model),
    ("GET", "/models/{owner}/{name}/readme", models.readme),
    ("GET", "/models/{owner}/{name}/versions", versions.index),
    ("GET", "/models/{owner}/{name}/versions/{id}", versions.get),
    ("DELETE", "/models/{owner}/{name}/versions/{id}", versions.delete),
    ("GET", "/search", search.everything),
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
    ("POST", "/files", uploads.create),
    ("GET", "/files", uploads.index),
    ("GET", "/files/{id}", uploads.get),
    ("DELETE", "/files/{id}", uploads.delete),
    ("GET", "/files/{id}/download", uploads.download),
    ("GET", "/f/{id}", files.download),
    ("GET", "/f/{id}/{name}", files.download),
    ("GET", "/p/{id}", pages.prediction),
    ("GET", "/m/{owner}/{name}", pages.model),
    ("GET", "/health", health),
    ("GET", "/metrics", metrics.show),
    ("GET", "/openapi.json", openapi.show),
    ("GET", "/docs", openapi.page),
]


class _Endpoint:
    """The handlers of a path as an ASGI application; every error becomes an answer here."""

    def __init__(self, here: Service, path: str, forwarded: Forwarded) -> None:
        self._here = here
        self._forwarded = forwarded
        self.handlers = {method: handler for method, other, handler in ROUTES if other == path}
        if "GET" in self.handlers:
            self.handlers["HEAD"] = self.handlers["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        here = self._forwarded.seen(self._here, request)
        try:
            response = await self.handlers[request.method](here, request)
        except Exception as error:  # the boundary: a fault of ours is logged and answered 500
            response = answer(request, error)
        for name, value in limits_left(scope).items():
            response.headers[name] = value
        await response(scope, receive, send)


def application(here: Service, forwarded: Forwarded, origins: Sequence[str] = ()) -> ASGIApp:
    """Make the application.

    Args:
        here: what the handlers work with.
        forwarded: whose word on who asks, and under which URL, is taken.
        origins: whose pages may read its answers in a browser (CORS).

    It answers under `/`, `/v1` and `/v1/v1`: some clients want a base URL with the version in it and some
    without, so that any base URL works with any client.
    """
    # One route for each path: a 405 then names all of its methods.
    endpoints = {path: _Endpoint(here, path, forwarded) for _, path, _ in ROUTES}
    routes = [Route(path, endpoint, methods=endpoint.handlers) for path, endpoint in endpoints.items()]
    router = Router(routes, redirect_slashes=False)
    turns = Turns(here.in_flight)

    async def rebased(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await turns.turn()
        path = scope["path"]
        for _ in range(_VERSIONS):
            path = path[3:] or "/" if path.startswith("/v1/") or path == "/v1" else path
        scope["path"] = path
        scope["app"] = router  # with this, the router raises where it would answer in plain text
        try:
            await router(scope, receive, send)
        except HTTPException as error:
            await answer(Request(scope), error)(scope, receive, send)

    return shared(rebased, origins) if origins else rebased
