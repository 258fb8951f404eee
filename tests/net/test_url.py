"""What is known of a webhook's URL when it is given."""

import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rules.url import endpoint_of, literal_address, origin_of, redacted, url_fault

BAD_HOST = "has a host that is not a valid name or address"
NOT_TEXT = "contains spaces, control characters or characters that are not text"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "http://example.com:8080/hook?customId=123&x={y}",
        "HTTPS://EXAMPLE.com",
        "https://user:p%40ss@example.com/",
        "https://bücher.example/é?ü=1",
        "https://my_service.example/",
        "https://example.com./",
        "http://127.0.0.1:8080/",
        "http://[::1]:8080/x",
        "http://localhost",
        "https://example.com/" + "a" * 2028,
    ],
)
def test_a_usable_url_has_no_fault(url: str) -> None:
    assert url_fault(url) is None


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "must begin with http:// or https://"),
        ("example.com/hook", "must begin with http:// or https://"),
        ("/hook", "must begin with http:// or https://"),
        ("ftp://example.com/", "must begin with http:// or https://"),
        ("file:///etc/passwd", "must begin with http:// or https://"),
        ("javascript:alert(1)", "must begin with http:// or https://"),
        ("https:/example.com", "must begin with http:// or https://"),
        ("https:example.com", "must begin with http:// or https://"),
        ("https://", "has no host"),
        ("https://:443/", "has no host"),
        ("https://user@/", "has no host"),
        ("https://example.com/a b", NOT_TEXT),
        (" https://example.com/", NOT_TEXT),
        (
            "https://example.com/\r\nx: y",
            NOT_TEXT,
        ),
        ("https://example.com/\t", NOT_TEXT),
        ("https://example.com/\x00", NOT_TEXT),
        ("https://example.com/\u00a0", NOT_TEXT),
        ("https://example.com/\u200b", NOT_TEXT),
        ("https://example.com/\ud800", NOT_TEXT),
        ("https://example.com:0/", "has a port that is not a number from 1 to 65535"),
        ("https://example.com:65536/", "has a port that is not a number from 1 to 65535"),
        ("https://example.com:x/", "has a port that is not a number from 1 to 65535"),
        ("https://example.com:-1/", "has a port that is not a number from 1 to 65535"),
        ("https://a@b@example.com/", "is ambiguous: percent-encode the user name and password"),
        ("https://evil.example\\@127.0.0.1/", "is ambiguous: percent-encode the user name and password"),
        ("https://[::1/", BAD_HOST),
        ("https://[fe80::1%25eth0]/", "has an IPv6 zone, which only means something on one machine"),
        ("https://[zz]/", BAD_HOST),
        ("https://[fe80::1%eth0]/", "has an IPv6 zone, which only means something on one machine"),
        ("https://[::1]x/", BAD_HOST),
        ("https://exa%6Dple.com/", BAD_HOST),
        ("https://example..com/", BAD_HOST),
        ("https://" + "a" * 64 + ".com/", BAD_HOST),
        ("https://" + "a." * 127 + "com/", BAD_HOST),
        ("https://exa$mple.com/", BAD_HOST),
        ("https://example.com/" + "a" * 2029, "is longer than 2048 bytes"),
        ("https://example.com/" + "é" * 1015, "is longer than 2048 bytes"),
    ],
)
def test_a_fault_is_named(url: str, fault: str) -> None:
    assert url_fault(url) == fault


LITERALS = [
    ("127.0.0.1", "127.0.0.1"),
    ("127.1", "127.0.0.1"),
    ("127.0.1", "127.0.0.1"),
    ("2130706433", "127.0.0.1"),
    ("0x7f000001", "127.0.0.1"),
    ("0X7F000001", "127.0.0.1"),
    ("0x7f.1", "127.0.0.1"),
    ("017700000001", "127.0.0.1"),
    ("0177.0.0.1", "127.0.0.1"),
    ("00000177.0.0.01", "127.0.0.1"),
    ("①②⑦.0.0.1", "127.0.0.1"),
    ("\uff11\uff12\uff17\u30020\uff0e0\uff611", "127.0.0.1"),
    ("0", "0.0.0.0"),
    ("10.256", "10.0.1.0"),
    ("4294967295", "255.255.255.255"),
]


@pytest.mark.parametrize(("host", "address"), LITERALS)
def test_every_spelling_of_an_address_is_read_as_the_system_reads_it(host: str, address: str) -> None:
    assert socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)[0][4][0] == address
    assert literal_address(f"http://{host}:8080/x") == ip_address(address)


@pytest.mark.parametrize(("host", "address"), [("[::1]", "::1"), ("[::FFFF:127.0.0.1]", "::ffff:127.0.0.1")])
def test_an_address_in_brackets_is_read(host: str, address: str) -> None:
    assert literal_address(f"http://{host}/") == ip_address(address)


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "127.0.0.1.",
        "127.0.0.256",
        "256.0.0.1",
        "1.2.3.4.5",
        "08.0.0.1",
        "4294967296",
        "0x",
        "1..2",
    ],
)
def test_what_is_no_address_is_a_name(host: str) -> None:
    assert literal_address(f"http://{host}/") is None


@given(st.text(alphabet="0123456789abcdefx.", min_size=1, max_size=14))
def test_python_and_libc_agree_on_what_is_an_address(host: str) -> None:
    try:
        libc = socket.getaddrinfo(
            host, 80, family=socket.AF_INET, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except (socket.gaierror, UnicodeError):
        assert literal_address(f"http://{host}/") is None
    else:
        assert literal_address(f"http://{host}/") == ip_address(libc[0][4][0])


@given(st.text(max_size=40))
def test_any_text_has_a_fault_or_all_the_parts_of_a_url(text: str) -> None:
    url = "http://" + text
    literal_address(url)
    redacted(url)
    if url_fault(url) is None:
        assert origin_of(url).rpartition(":")[2].isdigit()
        assert url_fault(endpoint_of(url)) is None


@pytest.mark.parametrize(
    ("url", "origin", "endpoint"),
    [
        ("HTTPS://Example.COM", "https://example.com:443", "https://example.com/"),
        ("http://example.com/Hook?id=1#x", "http://example.com:80", "http://example.com/Hook"),
        ("https://u:p@example.com:443/a", "https://example.com:443", "https://example.com/a"),
        ("http://example.com:8080/a/?b", "http://example.com:8080", "http://example.com:8080/a/"),
        ("http://[::1]:80/a", "http://[::1]:80", "http://[::1]/a"),
        ("https://Bücher.example/a", "https://xn--bcher-kva.example:443", "https://xn--bcher-kva.example/a"),
    ],
)
def test_an_endpoint_and_its_origin_have_one_spelling(url: str, origin: str, endpoint: str) -> None:
    assert origin_of(url) == origin
    assert endpoint_of(url) == endpoint


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/a", "https://example.com/a"),
        ("https://user:secret@example.com/a?token=secret&x=#frag", "https://example.com/a?token=***&x=***"),
        ("https://example.com/?secret", "https://example.com/?***"),
        ("/login?next=secret", "/login?next=***"),
        ("//user:secret@example.com/", "//example.com/"),
        ("http://[half?token=secret", "http://[half?token=***"),
    ],
)
def test_nothing_secret_of_a_url_is_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown
