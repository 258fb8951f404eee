"""`server.public_url` begins other URLs, in headers and in JSON: only what can is accepted."""

import pytest

from ringback.assembly.config import Config, ServerConfig, check
from ringback.words.errors import SetupError


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://localhost:5050",
        "https://ringback.example",
        "https://ringback.example/base/",
        "https://xn--bcher-kva.example/%C3%A9",
        "http://[::1]:5050",
    ],
)
def test_a_plain_public_url_is_accepted(url: str) -> None:
    check(Config(server=ServerConfig(public_url=url)), "here")


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://", "has no host"),
        ("ringback.example", "must begin with http:// or https://"),
        ("https://ringback.example:99999", "has a port"),
        ("https://ringback.example/a b", "contains spaces"),
        ("https://ringback.example/\r\nx: y", "contains spaces, control characters"),
        ("https://bücher.example", "punycode"),
        ("https://ringback.example/é", "percent-encode"),
        ("https://ringback.example/?a=b", "no user, query"),
        ("https://ringback.example?", "no user, query"),
        ("https://ringback.example#", "no user, query"),
        ("https://user:pw@ringback.example", "no user, query"),
        ('https://ringback.example/"', "no user, query"),
        ("https://ringback.example/'", "no user, query"),
        ("https://ringback.example\\", "no user, query"),
    ],
)
def test_a_public_url_that_can_not_begin_others_is_refused_by_name(url: str, fault: str) -> None:
    with pytest.raises(SetupError, match=r"^here: server\.public_url ") as refused:
        check(Config(server=ServerConfig(public_url=url)), "here")
    assert fault in str(refused.value)
    assert "pw" not in str(refused.value)
