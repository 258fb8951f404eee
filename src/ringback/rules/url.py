"""What is wrong with a webhook's URL, and the parts of it that name an endpoint.

What a URL's host resolves to is judged at each attempt, on the address that is dialled (rules/address.py).
Here stands only what can be known when the URL is given.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import SplitResult, unquote, urlsplit

from ringback.rules.address import Address

LONGEST_URL = 2048  # bytes; more than that, proxies and servers begin to refuse
_LONGEST_HOST = 253  # RFC 1035, written out
_LONGEST_LABEL = 63
_DEFAULT_PORTS = {"http": 80, "https": 443}
_BAD_HOST = "has a host that is not a valid name or address"
_HOST = re.compile(r"[a-z0-9._-]+")
_NOT_IN_A_BASE = frozenset("@?#\"'`<>\\^{|}")
_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+")
_USERINFO = re.compile(r"^([a-z][a-z0-9+.-]*:)?//[^/?#]*@", re.IGNORECASE)


def url_fault(text: str) -> str | None:
    """Say what is wrong with `text` as a webhook's URL, such as "has no host"; None if nothing is."""
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_URL:
        return f"is longer than {LONGEST_URL} bytes"
    if " " in text or not text.isprintable():
        return "contains spaces, control characters or characters that are not text"
    try:
        parts = urlsplit(text)
    except ValueError:
        return _BAD_HOST  # what urlsplit minds is always the host
    if parts.scheme not in _DEFAULT_PORTS or not text[len(parts.scheme) :].startswith("://"):
        return "must begin with http:// or https://"
    return _port_fault(parts) or _host_fault(parts) or _user_fault(parts)


def base_fault(url: str) -> str | None:
    """Say what is wrong with `url` as the beginning of others, in headers and in JSON; None if nothing is."""
    if not url.isascii():
        return "must be ASCII: write the host in punycode (xn--...) and percent-encode the path"
    if set(url) & _NOT_IN_A_BASE:
        return "must be scheme, host, port and path only: no user, query, fragment, quotes or backslashes"
    return url_fault(url)


def is_origin(text: str) -> bool:
    """Say whether this is an origin as browsers write it: lower case, punycode, no default port."""
    if base_fault(text) is not None:
        return False
    parts = urlsplit(text)
    port = "" if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return text == f"{parts.scheme}://{_host(parts)}{port}"


def _port_fault(parts: SplitResult) -> str | None:
    try:
        in_range = parts.port != 0
    except ValueError:
        in_range = False
    return None if in_range else "has a port that is not a number from 1 to 65535"


def _user_fault(parts: SplitResult) -> str | None:
    """Basic authentication ends the user name at the first colon (RFC 7617, 2), and aiohttp sends Latin-1."""
    # What is no UTF-8 is sent percent-encoded, as it stands.
    user, password = (unquote(text or "", errors="ignore") for text in (parts.username, parts.password))
    if ":" in user:
        return "has a user name with a colon, which basic authentication can't carry"
    try:
        (user + password).encode("latin-1")
    except UnicodeEncodeError:
        return "has a user name or password with characters beyond Latin-1"
    return None


def _host_fault(parts: SplitResult) -> str | None:
    if not parts.hostname:
        return "has no host"
    if parts.netloc.count("@") > 1 or "\\" in parts.netloc:
        return "is ambiguous: percent-encode the user name and password"
    if "[" in parts.netloc:
        return _bracket_fault(parts.netloc.rpartition("@")[2])
    return None if _is_name(parts.hostname) else _BAD_HOST


def _is_name(host: str) -> bool:
    try:
        name = _ascii(host)
    except UnicodeError:
        return False
    labels = name.removesuffix(".").split(".")
    return (
        _HOST.fullmatch(name) is not None
        and len(name) <= _LONGEST_HOST
        and all(0 < len(label) <= _LONGEST_LABEL for label in labels)
    )


def _bracket_fault(host_and_port: str) -> str | None:
    inner, _, port = host_and_port.partition("]")
    try:
        IPv6Address(inner.removeprefix("["))
    except AddressValueError:
        return _BAD_HOST
    if "%" in inner:
        return "has an IPv6 zone, which only means something on one machine"
    return None if not port or port.startswith(":") else _BAD_HOST


def literal_address(url: str) -> Address | None:
    """The address that `url`'s host spells out, or None if it is a name.

    Takes every form that getaddrinfo takes for an address: 127.0.0.1, 127.1, 2130706433, 0x7f000001,
    0177.0.0.1, digits of other scripts, [::1]. None for what is no URL at all.
    """
    try:
        host = urlsplit(url).hostname or ""
        return IPv6Address(host) if ":" in host else _ipv4(_ascii(host))
    except ValueError:  # UnicodeError and AddressValueError are both
        return None


def _ipv4(host: str) -> IPv4Address | None:
    """Read `host` as inet_aton does: one to four numbers, the last filling what the others leave."""
    numbers = host.split(".")
    if len(numbers) > 4 or not all(_NUMBER.fullmatch(number) for number in numbers):  # noqa: PLR2004 -- four bytes
        return None
    *heads, last = (_number(number) for number in numbers)
    room = 8 * (4 - len(heads))
    if any(head > 0xFF for head in heads) or last >> room:  # noqa: PLR2004 -- one byte each
        return None
    return IPv4Address(int.from_bytes(bytes(heads).ljust(4, b"\0")) | last)


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text, 16)
    return int(text, 8 if text.startswith("0") else 10)  # ValueError for 08: then it is a name


def origin_of(url: str) -> str:
    """Scheme, host and port of `url` (one without fault), the port always written: https://example.com:443."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{_host(parts)}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def endpoint_of(url: str) -> str:
    """The endpoint of `url` (one without fault): no user, query and fragment; scheme and host in lower case.

    A default port is left out and an empty path is "/", so that one endpoint has one spelling.
    """
    parts = urlsplit(url)
    is_default = parts.port in {None, _DEFAULT_PORTS[parts.scheme]}
    return f"{parts.scheme}://{_host(parts)}{'' if is_default else f':{parts.port}'}{parts.path or '/'}"


def redacted(url: str) -> str:
    """`url` as it may be logged: no user or password, no fragment, query values as ***.

    Takes any text, relative references too: it is also used on what receivers send.
    """
    head, _, query = url.partition("#")[0].partition("?")
    head = _USERINFO.sub(r"\1//", head)
    if not query:
        return head
    return (
        head
        + "?"
        + "&".join(f"{pair.partition('=')[0]}=***" if "=" in pair else "***" for pair in query.split("&"))
    )


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else _ascii(host)


def _ascii(host: str) -> str:
    """`host` in lower-case ASCII, by the codec that getaddrinfo applies; UnicodeError if that can't be."""
    return host.lower() if host.isascii() else host.encode("idna").decode("ascii").lower()
