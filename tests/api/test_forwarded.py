"""What a proxy says of a request is believed from trusted ones only, and only what can begin a URL."""

from dataclasses import dataclass
from ipaddress import ip_network
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from ringback.api.forwarded import Forwarded
from ringback.api.service import Service
from ringback.rules.snapshot import Links

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]
PROXY = "10.0.0.1"
OWN = "http://127.0.0.1:5050"
SAID = {"x-forwarded-proto": "https", "x-forwarded-host": "api.example.com", "x-forwarded-prefix": "/ring"}


@dataclass(frozen=True)
class Here:
    """As much of a Service as `seen` touches."""

    links: Links


def request(peer: str | None, *headers: tuple[str, str]) -> HTTPConnection:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    client = None if peer is None else (peer, 12345)
    return HTTPConnection({"type": "http", "client": client, "headers": raw})


def base(peer: str | None, *headers: tuple[str, str], rebases: bool = True) -> str:
    here = cast("Service", Here(Links(OWN, b"key")))
    return Forwarded(TRUSTED, rebases=rebases).seen(here, request(peer, *headers)).links.base


def client(peer: str | None, *values: str) -> str:
    headers = [("x-forwarded-for", value) for value in values]
    return Forwarded(TRUSTED, rebases=True).client(request(peer, *headers))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], PROXY),
        (["203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6", "203.0.113.7, 10.2.3.4"], "203.0.113.7"),
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["[2001:470::1]:4711, 10.0.0.2"], "2001:470::1"),
        (["2001:470::1"], "2001:470::1"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (["203.0.113.7, nonsense"], PROXY),
        (["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ([""], PROXY),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(values: list[str], expected: str) -> None:
    assert client(PROXY, *values) == expected


@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:470::5", "11.0.0.1"])
def test_a_stranger_is_not_believed(peer: str) -> None:
    assert client(peer, "203.0.113.7") == peer
    assert base(peer, *SAID.items()) == OWN


def test_a_peer_without_an_address_is_nobody() -> None:
    assert client(None, "203.0.113.7") == ""
    assert base(None, *SAID.items()) == OWN


def test_an_ipv4_peer_on_an_ipv6_socket_is_the_same_peer() -> None:
    assert client("::ffff:10.0.0.1", "203.0.113.7") == "203.0.113.7"
    assert client("::ffff:192.0.2.1", "203.0.113.7") == "192.0.2.1"


@given(hops=st.lists(st.text(alphabet="0123456789abcdef.:,[] ", max_size=30), max_size=40))
def test_whatever_a_client_puts_in_front_the_proxys_word_stands(hops: list[str]) -> None:
    assert client(PROXY, *hops, "203.0.113.7") == "203.0.113.7"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (SAID, "https://api.example.com/ring"),
        ({"x-forwarded-proto": "https", "host": "api.example.com"}, "https://api.example.com"),
        ({"x-forwarded-host": "api.example.com:8443"}, "http://api.example.com:8443"),
        ({"x-forwarded-prefix": "/a/b/", "host": "x.example"}, "http://x.example/a/b"),
        ({"x-forwarded-proto": "http, HTTPS", "host": "x"}, "https://x"),
        ({"x-forwarded-host": "evil.example, api.example.com"}, "http://api.example.com"),
        ({"host": "x"}, OWN),
    ],
)
def test_urls_begin_as_the_trusted_proxy_says(headers: dict[str, str], expected: str) -> None:
    assert base(PROXY, *headers.items()) == expected


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("proto", "javascript"),
        ("proto", "https://evil.example/#"),
        ("host", "user@evil.example"),
        ("host", "evil.example/path"),
        ("host", "evil.example?q"),
        ("host", "evil.example#f"),
        ("host", 'evil.example"'),
        ("host", "evil.example\\"),
        ("host", "evil .example"),
        ("host", "\xe9.example"),
        ("host", "a.example:99999"),
        ("host", "[::1"),
        ("host", "a" * 3000),
        ("prefix", "//evil.example"),
        ("prefix", "ring"),
        ("prefix", "/a/../b"),
        ("prefix", "/a?b"),
        ("prefix", "/a'b"),
        ("prefix", "/a b"),
    ],
)
def test_what_can_not_begin_a_url_is_ignored_as_a_whole(what: str, wrong: str) -> None:
    assert base(PROXY, *{**SAID, f"x-forwarded-{what}": wrong}.items()) == OWN


def test_with_a_public_url_nobody_is_asked() -> None:
    assert base(PROXY, *SAID.items(), rebases=False) == OWN


def test_bases_that_clients_make_up_do_not_fill_the_memory() -> None:
    forwarded, here = Forwarded(TRUSTED, rebases=True), cast("Service", Here(Links(OWN, b"key")))
    for number in range(1000):
        told = ("x-forwarded-host", f"h{number}.example")
        assert forwarded.seen(here, request(PROXY, told)).links.base == f"http://h{number}.example"
    assert len(forwarded._seen) <= 64
