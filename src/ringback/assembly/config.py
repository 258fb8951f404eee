"""Settings: what can be configured, read from a TOML file and the command line, each checked by name."""

import difflib
import tomllib
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_network
from math import isfinite
from pathlib import Path
from typing import Any, get_args, get_origin

from ringback.rules.address import Network
from ringback.rules.headers import header_faults
from ringback.rules.prediction import EVENTS
from ringback.rules.url import redacted, url_fault
from ringback.words.errors import SetupError


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model to serve: `[models."owner/name"]`."""

    dir: str
    """The folder with cog.yaml; relative to the configuration file."""
    python: str = ""
    """The interpreter that runs it; the server's own when empty. A path is relative to the configuration
    file."""
    version: str = ""
    """The version's id (64 hexadecimal digits); made from its sources when empty."""
    timeout_s: float = 1800.0
    """How long a prediction may run."""
    rerun: str = "unpublished"
    """What becomes of a prediction whose server died: `never`, `unpublished` (run again if none of its output
    or logs has gone out) or `always`; run again once, a second time it fails."""


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
    """Who may read /metrics: whoever has a token (`token`), everybody (`open`) or nobody (`off`)."""


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """`[webhooks]`."""

    default_events: list[str] = field(default_factory=lambda: ["output", "completed"])
    """The events sent when a prediction names no filter."""
    throttle_s: float = 0.5
    """The window within which at most one output or logs event of a prediction is sent."""
    secret_overlap_s: float = 86400.0
    """How long a rotated secret, or key of v1a, goes on signing beside the new one."""
    v1a: bool = False
    """Whether each request is also signed with the server's private key (ed25519), for receivers that shall
    hold no secret."""
    retry_base_s: float = 5.0
    """The wait after the first failed attempt; it doubles with each further one."""
    retry_cap_s: float = 7200.0
    """The longest wait between two attempts."""
    retry_jitter: float = 0.1
    """The share by which each wait is moved at random, up or down."""
    retry_window_s: float = 86400.0
    """How long after its event a delivery is tried."""
    in_flight: int = 512
    """Attempts at a time, in all."""
    in_flight_per_origin: int = 32
    """Attempts at a time for each scheme, host and port; a quarter of them is kept for URLs with none."""
    close_after: int = 5
    """After how many failures in a row an endpoint or an origin gets only probes."""
    probe_first_s: float = 1.0
    """The wait before the first probe; it doubles with each that fails."""
    probe_longest_s: float = 60.0
    """The longest wait between two probes."""
    resend_per_s: float = 20.0
    """How many dead deliveries a second go out again when many are asked for."""
    operator_url: str = field(default="", repr=False)
    """A webhook of your own that hears of endpoints that close and open, and of deliveries given up."""


@dataclass(frozen=True, slots=True)
class EgressConfig:
    """`[egress]`: how and where webhooks are sent."""

    timeout_s: float = 15.0
    """From the start of connecting until the answer's headers are there."""
    allow: list[str] = field(default_factory=list)
    """Networks that may be reached although they are not public, for example 10.1.0.0/16."""
    ca_file: str = ""
    """Further certificate authorities (PEM) to trust."""
    proxy: str = field(default="", repr=False)
    """An http proxy for all webhooks, for example http://proxy:3128."""
    headers: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """Further headers by destination, which is an origin or an origin and the beginning of a path. A value
    env:NAME is read from the environment at the start."""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    models: dict[str, ModelConfig] = field(default_factory=dict)
    server: ServerConfig = field(default_factory=ServerConfig)
    webhooks: WebhookConfig = field(default_factory=WebhookConfig)
    egress: EgressConfig = field(default_factory=EgressConfig)

    @property
    def allowed_networks(self) -> tuple[Network, ...]:
        """`egress.allow`, parsed (checked when it was read)."""
        return tuple(ip_network(text, strict=False) for text in self.egress.allow)


_SECTIONS: dict[str, type] = {"server": ServerConfig, "webhooks": WebhookConfig, "egress": EgressConfig}


def read_config(path: Path) -> Config:
    """Read a configuration file.

    Raises:
        SetupError: it can't be read, or something in it is wrong; names the key.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"can't read the configuration {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path} is not TOML: {error}") from None
    return parse_config(document, str(path), path.parent)


def parse_config(document: dict[str, Any], where: str, folder: Path) -> Config:
    """Check a configuration document.

    Args:
        document: the parsed TOML.
        where: its name, for error messages.
        folder: what model folders are relative to.

    Raises:
        SetupError: something in it is wrong; names the key.
    """
    _known(document, [*_SECTIONS, "models"], where)
    sections = {
        name: _section(kind, document.get(name, {}), f"{where}: {name}") for name, kind in _SECTIONS.items()
    }
    models = document.get("models", {})
    if not isinstance(models, dict):
        raise SetupError(f'{where}: models: expected tables such as [models."owner/name"]')
    config = Config(
        models={name: _model(table, f'{where}: models."{name}"', folder) for name, table in models.items()},
        **sections,
    )
    check(config, where)
    return config


def _model(table: Any, where: str, folder: Path) -> ModelConfig:
    if isinstance(table, str):
        table = {"dir": table}
    if isinstance(table, dict) and "dir" not in table:
        raise SetupError(f"{where}: dir is missing: the folder with cog.yaml")
    model: ModelConfig = _section(ModelConfig, table, where)
    # A path (but not a bare name, which is looked up) is relative to the configuration file, as `dir` is.
    python = str(folder / model.python) if "/" in model.python else model.python
    return replace(model, dir=str(folder / model.dir), python=python)


def _known(table: dict[str, Any], names: list[str], where: str) -> None:
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.0)
            raise SetupError(f"{where}: there is no setting {key!r}; the nearest is {near[0]!r}")


def _section(kind: type, table: Any, where: str) -> Any:
    if not isinstance(table, dict):
        raise SetupError(f"{where}: expected a table")
    types = {each.name: each.type for each in fields(kind)}
    _known(table, list(types), where)
    for key, value in table.items():
        _typed(types[key], value, f"{where}.{key}")
    return kind(**table)


def _typed(kind: Any, value: Any, where: str) -> None:
    if get_origin(kind) is dict:
        _tables_of_text(value, where)
        return
    if kind is float:
        # TOML knows inf and nan; no time is either.
        fits = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    elif get_args(kind):
        fits = isinstance(value, list) and all(isinstance(item, get_args(kind)[0]) for item in value)
    else:
        fits = type(value) is kind
    if not fits:
        name = "a list of strings" if get_args(kind) else kind.__name__
        raise SetupError(f"{where}: expected {name}, not {value!r}")


def _tables_of_text(value: Any, where: str) -> None:
    """Check tables of strings by name. What is wrong is not repeated: it may be a secret."""
    for name, table in value.items() if isinstance(value, dict) else [("", None)]:
        inner = f'{where}."{redacted(name)}"' if name else where
        if not isinstance(table, dict):
            raise SetupError(f"{inner}: expected a table")
        for key, text in table.items():
            if not isinstance(text, str):
                raise SetupError(f"{inner}.{key!r}: expected a string")


def check(config: Config, where: str) -> None:
    """Check what no type can say.

    Args:
        config: the settings.
        where: where they come from, for error messages.

    Raises:
        SetupError: one is out of its range; names it.
    """
    server, webhooks, egress = config.server, config.webhooks, config.egress
    rules = [
        (0 <= server.port <= 65535, "server.port must be from 0 to 65535"),  # noqa: PLR2004 - TCP's range
        (server.body_limit > 0, "server.body_limit must be above 0"),
        (server.drain_s >= 0, "server.drain_s must not be negative"),
        (server.cancel_grace_s >= 0, "server.cancel_grace_s must not be negative"),
        (server.log_level in LEVELS, f"server.log_level must be one of {', '.join(LEVELS)}"),
        (server.metrics in METRICS, f"server.metrics must be one of {', '.join(METRICS)}"),
        (not (fault := _base_fault(server.public_url)), f"server.public_url {fault}"),
        (set(webhooks.default_events) <= set(EVENTS), f"webhooks.default_events: only {', '.join(EVENTS)}"),
        (webhooks.throttle_s >= 0, "webhooks.throttle_s must not be negative"),
        (webhooks.secret_overlap_s >= 0, "webhooks.secret_overlap_s must not be negative"),
        (webhooks.retry_base_s > 0, "webhooks.retry_base_s must be above 0"),
        (webhooks.retry_cap_s > 0, "webhooks.retry_cap_s must be above 0"),
        (0 <= webhooks.retry_jitter < 1, "webhooks.retry_jitter must be from 0 to below 1"),
        (webhooks.retry_window_s >= 0, "webhooks.retry_window_s must not be negative"),
        (webhooks.in_flight > 0, "webhooks.in_flight must be above 0"),
        (webhooks.in_flight_per_origin > 0, "webhooks.in_flight_per_origin must be above 0"),
        (webhooks.close_after > 0, "webhooks.close_after must be above 0"),
        (webhooks.probe_first_s > 0, "webhooks.probe_first_s must be above 0"),
        (
            webhooks.probe_longest_s >= webhooks.probe_first_s,
            "webhooks.probe_longest_s must not be below webhooks.probe_first_s",
        ),
        (webhooks.resend_per_s > 0, "webhooks.resend_per_s must be above 0"),
        (not (fault := _operator_fault(webhooks.operator_url)), f"webhooks.operator_url {fault}"),
        (egress.timeout_s > 0, "egress.timeout_s must be above 0"),
        *((_is_network(text), f"egress.allow: {text!r} is not a network") for text in egress.allow),
        (not (fault := egress.proxy and url_fault(egress.proxy)), f"egress.proxy {fault}"),
        (not egress.proxy.lower().startswith("https"), "egress.proxy must begin with http://"),
        *((False, f"egress.headers{fault}") for fault in header_faults(egress.headers)),
        *(
            (model.timeout_s > 0, f'models."{name}".timeout_s must be above 0')
            for name, model in config.models.items()
        ),
        *(
            (model.rerun in RERUNS, f'models."{name}".rerun must be one of {", ".join(RERUNS)}')
            for name, model in config.models.items()
        ),
        *(
            (_is_version(model.version), f'models."{name}".version must be 64 hexadecimal digits')
            for name, model in config.models.items()
        ),
    ]
    for holds, message in rules:
        if not holds:
            raise SetupError(f"{where}: {message}")


LEVELS = ("debug", "info", "warning", "error")
METRICS = ("token", "open", "off")
RERUNS = ("never", "unpublished", "always")
_HEX_DIGITS = 64
_NOT_IN_A_BASE = frozenset("@?#\"'`<>\\^{|}")


def _base_fault(url: str) -> str | None:
    """Say what is wrong with `url` as the beginning of other URLs, in headers and in JSON; None for ""."""
    if not url:
        return None
    if not url.isascii():
        return "must be ASCII: write the host in punycode (xn--...) and percent-encode the path"
    if set(url) & _NOT_IN_A_BASE:
        return "must be scheme, host, port and path only: no user, query, fragment, quotes or backslashes"
    return url_fault(url)


def _operator_fault(url: str) -> str | None:
    return url_fault(url) if url else None


def _is_version(text: str) -> bool:
    return not text or (len(text) == _HEX_DIGITS and set(text) <= set("0123456789abcdef"))


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
