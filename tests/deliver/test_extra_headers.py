"""Extra headers by destination: which request gets them, what they may be, and that nothing shows them."""

from pathlib import Path
from typing import Any

import pytest

from ringback.assembly.config import Config, parse_config
from ringback.assembly.headers import filled_in
from ringback.deliver.egress import EgressSettings
from ringback.rules.headers import Tables, extra_headers
from ringback.words.errors import SetupError

HERE = Path()
DESTINATIONS = {
    "https://api.example.com": {"X-Api-Key": "origin"},
    "https://api.example.com/hooks": {"x-api-key": "hooks"},
    "https://api.example.com/hooks/deep/": {"x-api-key": "deep"},
    "http://api.example.com:8080/only": {"x-api-key": "plain"},
    "https://Bücher.example": {"x-api-key": "books"},
    "https://user.example": {"authorization": "Bearer ours", "x-api-key": "user"},
}


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("https://api.example.com", "origin"),
        ("https://api.example.com/?a=b", "origin"),
        ("https://API.example.com:443/other", "origin"),
        ("https://api.example.com/hooks", "hooks"),
        ("https://api.example.com/hooks?id=1", "hooks"),
        ("https://api.example.com/hooks/1", "hooks"),
        ("https://api.example.com/hooks/deep", "deep"),
        ("https://api.example.com/hooks/deep/x", "deep"),
        ("https://api.example.com/hooks/deeper", "hooks"),
        ("https://api.example.com/hooksx", "origin"),
        ("https://api.example.com/Hooks", "origin"),
        ("https://api.example.com/hooks/deep/../x", "origin"),
        ("https://api.example.com/hooks/deep/%2e%2E/x", "origin"),
        ("https://api.example.com/hooks/deep/..%2fx", "origin"),
        ("https://api.example.com/hooks/deep/..;a=b/x", "origin"),
        ("https://api.example.com/hooks/deep/..\\x", "origin"),
        ("http://api.example.com:8080/only/x", "plain"),
        ("http://api.example.com:8080/", None),
        ("http://api.example.com:8080/only/../x", None),
        ("http://api.example.com/", None),
        ("https://api.example.com:8443/", None),
        ("https://api.example.com.evil.example/", None),
        ("https://evil.example/https://api.example.com/", None),
        ("https://api.example.com@evil.example/", None),
        ("https://xn--bcher-kva.example/", "books"),
        ("no url at all", None),
        ("https://[half", None),
    ],
)
def test_the_longest_prefix_that_ends_with_a_segment_wins(url: str, value: str | None) -> None:
    assert extra_headers(DESTINATIONS).of(url).get("x-api-key") == value


def test_credentials_in_the_url_go_before_those_of_the_setting() -> None:
    headers = extra_headers(DESTINATIONS)
    assert headers.of("https://user.example/") == {"authorization": "Bearer ours", "x-api-key": "user"}
    assert headers.of("https://me:secret@user.example/") == {"x-api-key": "user"}


def parsed(headers: Any) -> Config:
    return parse_config({"egress": {"headers": headers}}, "ringback.toml", HERE)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (5, ": expected a table"),
        ({"https://a.example": "hidden"}, '."https://a.example": expected a table'),
        ({"https://a.example": {"x": 5}}, """."https://a.example".'x': expected a string"""),
        ({"https://a.example": {"x": ["hidden"]}}, """."https://a.example".'x': expected a string"""),
        ({"a.example": {}}, '."a.example" must begin with http:// or https://'),
        ({"https://": {}}, '."https://" has no host'),
        ({"https://u:hidden@a.example": {}}, '."https://a.example" must be scheme, host, port and path only'),
        ({"https://a.example/?x=hidden": {}}, '."https://a.example/?x=***" must be scheme, host, port and'),
        ({"https://a.example/x/../y": {}}, '."https://a.example/x/../y" must have no . or .. in its path'),
        ({"https://a.example": {}, "https://a.example:443/": {}}, '."https://a.example:443/" stands there'),
        ({"https://a.example": {"x y": "hidden"}}, """."https://a.example".'x y' is no header name"""),
        ({"https://a.example": {"x": "hidden\r\ny: z"}}, ".'x' has a value with line ends"),
        ({"https://a.example": {"x": "hidden\0"}}, ".'x' has a value with line ends or other control"),
        ({"https://a.example": {"x": "hidden\xe9"}}, ".'x' has a value with characters beyond ASCII"),
        ({"https://a.example": {"x": "hidden "}}, ".'x' has a value that begins or ends with spaces"),
        ({"https://a.example": {"x": "1", "X": "2"}}, ".'x' stands there twice"),
        *(
            ({"https://a.example": {name: "hidden"}}, f".{name!r} is a header that ringback sets itself")
            for name in (
                "Content-Type",
                "content-length",
                "content-encoding",
                "host",
                "transfer-encoding",
                "connection",
                "expect",
                "user-agent",
                "Webhook-Signature",
                "webhook-anything",
                "ringback-event",
                "proxy-authorization",
            )
        ),
    ],
)
def test_what_can_not_be_sent_is_named_without_its_value(headers: Any, said: str) -> None:
    with pytest.raises(SetupError) as caught:
        parsed(headers)
    assert str(caught.value).startswith("ringback.toml: egress")
    assert said in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_may_come_from_the_environment() -> None:
    tables: Tables = {"https://a.example": {"x-key": "env:THE_KEY", "x-note": "environment"}}
    config = parsed(tables)
    headers = filled_in(config.egress.headers, {"THE_KEY": "from outside"})
    assert headers.of("https://a.example/") == {"x-key": "from outside", "x-note": "environment"}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "egress.headers: the environment variable THE_KEY is not set"),
        (
            {"THE_KEY": "hidden\n"},
            "egress.headers: the environment variable THE_KEY has a value with line ends",
        ),
    ],
)
def test_a_variable_that_can_not_be_used_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SetupError) as caught:
        filled_in({"https://a.example": {"x-key": "env:THE_KEY"}}, environment)
    assert str(caught.value).startswith(said)
    assert "hidden" not in str(caught.value)


def test_no_repr_shows_a_header_or_the_proxys_password() -> None:
    tables = {"https://a.example": {"x-key": "hidden"}}
    document = {"egress": {"headers": tables, "proxy": "http://me:hidden@127.0.0.1:1"}}
    config = parse_config(document, "ringback.toml", HERE)
    settings = EgressSettings(proxy=config.egress.proxy, headers=extra_headers(tables))
    assert "hidden" not in f"{config!r} {settings!r} {settings.headers!r}"


@pytest.mark.parametrize(
    "proxy",
    [
        "proxy:3128",
        "ftp://me:hidden@proxy:3128",
        "https://me:hidden@proxy",
        "http://me:hid den@proxy",
        "http://",
    ],
)
def test_a_proxy_that_is_no_url_is_a_fault_without_its_password(proxy: str) -> None:
    with pytest.raises(SetupError) as caught:
        parse_config({"egress": {"proxy": proxy}}, "ringback.toml", HERE)
    assert str(caught.value).startswith("ringback.toml: egress.proxy ")
    assert "hid" not in str(caught.value)
