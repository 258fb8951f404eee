"""Which addresses a webhook may be sent to: our own table, judged on the address that is really dialled.

The table follows the IANA special-purpose address registries (RFC 6890 and its successors) and is stricter
than they are where a form can stand for another address. Python's `is_global` can't be used for this: it
says yes to the NAT64 and 6to4 forms of 127.0.0.1, to multicast and to addresses that nobody was assigned.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be dialled beside public addresses.

    Attributes:
        allow_loopback: also 127.0.0.0/8, ::1 and their IPv4-mapped forms; for a server that only its own
            machine can reach.
        allowed: further networks, whatever the table says of them.
    """

    allow_loopback: bool = False
    allowed: tuple[Network, ...] = ()


_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an address of this machine"),  # Linux dials loopback for 0.0.0.0
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a shared (carrier-grade NAT) address"),
        ("127.0.0.0/8", "a loopback address"),
        ("168.63.129.16/32", "a cloud host's address"),  # public by number, but Azure's machines answer on it
        ("169.254.169.254/32", "a cloud metadata address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a reserved address"),  # the former 6to4 relays (RFC 7526)
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)

_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "an address of this machine"),
        ("::1/128", "a loopback address"),
        ("100::/64", "a discard address"),
        ("2001:2::/48", "a benchmarking address"),
        ("2001:10::/28", "an ORCHID, not an address"),
        ("2001:20::/28", "an ORCHID, not an address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a documentation address"),
        ("3fff::/20", "a documentation address"),
        ("5f00::/16", "a segment routing (SRv6) address"),
        ("64:ff9b:1::/48", "a local NAT64 address"),  # RFC 8215 leaves open where the inner address stands
        ("fc00::/7", "a private (unique local) address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA has handed out; the rest is nobody's
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")


def refusal(rules: AddressRules, address: Address) -> str | None:
    """Say why `address` must not be dialled, for example "10.0.0.5 is a private address"; None if it may be.

    An IPv4-mapped address is judged as the IPv4 address that the kernel would dial. A form that some other
    machine translates (NAT64, 6to4, Teredo, IPv4-compatible) needs an allowed network around it, and even
    then the address within must pass by itself.
    """
    if isinstance(address, IPv6Address):
        return _refusal_v6(rules, address)
    if _is_listed(rules, address) or (rules.allow_loopback and address.is_loopback):
        return None
    return next((f"{address} is {kind}" for network, kind in _V4 if address in network), None)


def _refusal_v6(rules: AddressRules, address: IPv6Address) -> str | None:
    listed = _is_listed(rules, address)
    if (mapped := address.ipv4_mapped) is not None:
        return None if listed else refusal(rules, mapped)
    if (translated := _translated(address)) is not None:
        form, inner = translated
        return refusal(rules, inner) if listed else f"{address} is the {form} form of {inner}"
    if listed or (rules.allow_loopback and address.is_loopback):
        return None
    for network, kind in _V6:
        if address in network:
            return f"{address} is {kind}"
    return None if address in _GLOBAL_UNICAST else f"{address} is not a global unicast address"


def _is_listed(rules: AddressRules, address: Address) -> bool:
    return any(address in network for network in rules.allowed)


def _translated(address: IPv6Address) -> tuple[str, IPv4Address] | None:
    """The name of the translation and the IPv4 address that would be reached in the end."""
    low = int(address) & 0xFFFF_FFFF
    if address in _NAT64:
        return "NAT64", IPv4Address(low)
    if (inner := address.sixtofour) is not None:
        return "6to4", inner
    if (pair := address.teredo) is not None:
        return "Teredo", pair[1]
    if address in _COMPATIBLE and int(address) > 1:  # :: and ::1 are themselves
        return "IPv4-compatible", IPv4Address(low)
    return None
