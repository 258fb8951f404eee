"""`[server]`: where it listens, who reaches it, how."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ringback.assembly.settings.reading import Rule, is_network
from ringback.rules.url import base_fault, is_origin

LEVELS = ("debug", "info", "warning", "error")
METRICS = ("token", "open", "off")
_NO_ORIGIN = "is neither * nor an origin as browsers write it: https://host:port, lower case, no default port"


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """`[server]`."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 5050
    """The port to listen on; 0 takes a free one."""
    data: str = "ringback-data"
    """The folder for the database and output files; relative to where ringback is started."""
    public_url: str = ""
    """How clients and receivers reach this server: scheme, host, port and path, no more.
    http://host:port when empty."""
    body_limit: int = 32_000_000
    """Bytes of a request's body."""
    drain_s: float = 8.0
    """How long running predictions may go on after SIGTERM before they are handed back."""
    cancel_grace_s: float = 5.0
    """How long a predictor may take to stop when canceled, before its process is killed."""
    log_level: str = "info"
    """debug, info, warning or error."""
    metrics: str = "token"
    """Who may read /metrics: whoever has a token of the operator's account (`token`), everybody (`open`) or
    nobody (`off`)."""
    trusted_proxies: list[str] = field(default_factory=list)
    """Networks of proxies whose X-Forwarded headers are believed, for example 127.0.0.1."""
    cors_origins: list[str] = field(default_factory=list)
    """Origins whose pages may use the API from a browser; "*" is every origin."""


def rules(server: ServerConfig) -> Iterator[Rule]:
    """Give what must hold of the section."""
    yield 0 <= server.port <= 65535, "server.port must be from 0 to 65535"  # noqa: PLR2004 - TCP's range
    yield server.body_limit > 0, "server.body_limit must be above 0"
    yield server.drain_s >= 0, "server.drain_s must not be negative"
    yield server.cancel_grace_s >= 0, "server.cancel_grace_s must not be negative"
    yield server.log_level in LEVELS, f"server.log_level must be one of {', '.join(LEVELS)}"
    yield server.metrics in METRICS, f"server.metrics must be one of {', '.join(METRICS)}"
    fault = base_fault(server.public_url) if server.public_url else None
    yield not fault, f"server.public_url {fault}"
    for text in server.trusted_proxies:
        yield is_network(text), f"server.trusted_proxies: {text!r} is not a network"
    for text in server.cors_origins:
        yield text == "*" or is_origin(text), f"server.cors_origins: {text!r} {_NO_ORIGIN}"
