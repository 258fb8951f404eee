"""`[egress]`: how and where webhooks are sent."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ringback.assembly.settings.reading import Rule, is_network
from ringback.rules.headers import header_faults
from ringback.rules.url import url_fault


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


def rules(egress: EgressConfig) -> Iterator[Rule]:
    """Give what must hold of the section."""
    yield egress.timeout_s > 0, "egress.timeout_s must be above 0"
    for text in egress.allow:
        yield is_network(text), f"egress.allow: {text!r} is not a network"
    fault = egress.proxy and url_fault(egress.proxy)
    yield not fault, f"egress.proxy {fault}"
    yield not egress.proxy.lower().startswith("https"), "egress.proxy must begin with http://"
    for fault in header_faults(egress.headers):
        yield False, f"egress.headers{fault}"
