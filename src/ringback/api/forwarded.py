"""What a proxy in front says of a request: who really asks, and under which URL.

Only proxies that the configuration names are believed, and of what they say only what can be the beginning
of a URL: they pass on what clients send.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from ringback.api.service import Service
from ringback.rules.address import Address, Network
from ringback.rules.url import base_fault

_MANY = 64
"""Bases remembered at most: clients can make them up."""

_HOPS = 20
"""Addresses looked at in a chain of proxies."""

_PREFIX = re.compile(r"(/[\w.~%!$&()*+,;=:-]+)*", re.ASCII)
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]+)?|([^:]*):[0-9]+")


class Forwarded:
    """Reads the X-Forwarded headers of trusted proxies."""

    def __init__(self, trusted: Sequence[Network], *, rebases: bool) -> None:
        """Take whom to believe.

        Args:
            trusted: the proxies' networks.
            rebases: whether answers' URLs begin as the proxy says; not if the server has a public URL.
        """
        self._trusted = tuple(trusted)
        self._rebases = rebases
        self._seen: dict[str, Service] = {}

    def client(self, request: HTTPConnection) -> str:
        """Give the address of who asks: the last one in X-Forwarded-For that is not a trusted proxy."""
        host = request.client.host if request.client is not None else ""
        peer = str(_address(host) or host)
        if not self._believes(peer):
            return peer
        hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        found = peer
        for hop in reversed(hops[-_HOPS:]):
            address = _address(hop.strip())
            if address is None:
                return found  # nobody that could be believed wrote that
            found = str(address)
            if not self._believes(found):
                return found
        return found

    def seen(self, here: Service, request: HTTPConnection) -> Service:
        """Give what the handlers work with, its links beginning as the client knows this server."""
        if not (self._rebases and self._trusted):
            return here
        if request.client is None or not self._believes(request.client.host):
            return here
        base = _base(request.headers, here.links.base)
        if base is None:
            return here
        known = self._seen.get(base)
        if known is None:
            if len(self._seen) >= _MANY:
                self._seen.clear()
            known = self._seen[base] = replace(here, links=replace(here.links, base=base))
        return known

    def _believes(self, host: str) -> bool:
        address = _address(host)
        return address is not None and any(address in network for network in self._trusted)


def _address(text: str) -> Address | None:
    """Read an address, with or without a port; None if it is none."""
    match = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address(text if match is None else match[1] or match[2])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else mapped


def _base(headers: Headers, own: str) -> str | None:
    """Give the base that a proxy's headers tell, or None if they tell none or a wrong one."""
    scheme, host, prefix = (_last(headers, f"x-forwarded-{what}") for what in ("proto", "host", "prefix"))
    if not (scheme or host or prefix):
        return None
    scheme = scheme.lower() or urlsplit(own).scheme
    host = host or headers.get("host", "")
    prefix = prefix.rstrip("/")
    base = f"{scheme}://{host}{prefix}"
    is_clean = scheme in ("http", "https") and _PREFIX.fullmatch(prefix) and "/" not in host
    if not is_clean or base_fault(base) or {".", ".."} & set(prefix.split("/")):
        return None
    return base


def _last(headers: Headers, name: str) -> str:
    """Give a header's last value: the nearest proxy's; what stands before may be anybody's."""
    values = headers.getlist(name)
    return values[-1].rpartition(",")[2].strip() if values else ""
