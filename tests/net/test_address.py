"""One row for each form that has fooled somebody's filter."""

from ipaddress import ip_address, ip_network

import pytest

from ringback.rules.address import AddressRules, refusal

PUBLIC_ONLY = AddressRules()
WITH_LOOPBACK = AddressRules(allow_loopback=True)

REFUSED = [
    ("0.0.0.0", "0.0.0.0 is an address of this machine"),
    ("0.1.2.3", "0.1.2.3 is an address of this machine"),
    ("10.0.0.5", "10.0.0.5 is a private address"),
    ("100.64.0.1", "100.64.0.1 is a shared (carrier-grade NAT) address"),
    ("100.100.100.200", "100.100.100.200 is a shared (carrier-grade NAT) address"),
    ("127.0.0.1", "127.0.0.1 is a loopback address"),
    ("127.255.255.254", "127.255.255.254 is a loopback address"),
    ("168.63.129.16", "168.63.129.16 is a cloud host's address"),
    ("169.254.169.254", "169.254.169.254 is a cloud metadata address"),
    ("169.254.0.1", "169.254.0.1 is a link-local address"),
    ("172.16.0.1", "172.16.0.1 is a private address"),
    ("172.31.255.255", "172.31.255.255 is a private address"),
    ("192.0.0.8", "192.0.0.8 is a reserved address"),
    ("192.0.0.192", "192.0.0.192 is a reserved address"),
    ("192.0.2.1", "192.0.2.1 is a documentation address"),
    ("192.88.99.1", "192.88.99.1 is a reserved address"),
    ("192.168.1.1", "192.168.1.1 is a private address"),
    ("198.18.0.1", "198.18.0.1 is a benchmarking address"),
    ("198.19.255.255", "198.19.255.255 is a benchmarking address"),
    ("198.51.100.1", "198.51.100.1 is a documentation address"),
    ("203.0.113.1", "203.0.113.1 is a documentation address"),
    ("224.0.0.1", "224.0.0.1 is a multicast address"),
    ("239.255.255.255", "239.255.255.255 is a multicast address"),
    ("240.0.0.1", "240.0.0.1 is a reserved address"),
    ("255.255.255.255", "255.255.255.255 is the broadcast address"),
    ("::", ":: is an address of this machine"),
    ("::1", "::1 is a loopback address"),
    ("::7f00:1", "::7f00:1 is the IPv4-compatible form of 127.0.0.1"),
    ("::ffff:127.0.0.1", "127.0.0.1 is a loopback address"),
    ("::ffff:10.0.0.5", "10.0.0.5 is a private address"),
    ("::ffff:0:127.0.0.1", "::ffff:0:7f00:1 is not a global unicast address"),
    ("64:ff9b::7f00:1", "64:ff9b::7f00:1 is the NAT64 form of 127.0.0.1"),
    ("64:ff9b::8.8.8.8", "64:ff9b::808:808 is the NAT64 form of 8.8.8.8"),
    ("64:ff9b:1::7f00:1", "64:ff9b:1::7f00:1 is a local NAT64 address"),
    ("100::1", "100::1 is a discard address"),
    ("100:0:0:1::1", "100:0:0:1::1 is not a global unicast address"),
    ("200::1", "200::1 is not a global unicast address"),
    ("2001::1", "2001::1 is the Teredo form of 255.255.255.254"),
    (
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2 is the Teredo form of 192.0.2.45",
    ),
    ("2001:2::1", "2001:2::1 is a benchmarking address"),
    ("2001:10::1", "2001:10::1 is an ORCHID, not an address"),
    ("2001:20::1", "2001:20::1 is an ORCHID, not an address"),
    ("2001:1ff::1", "2001:1ff::1 is a reserved address"),
    ("2001:db8::1", "2001:db8::1 is a documentation address"),
    ("2002:7f00:1::", "2002:7f00:1:: is the 6to4 form of 127.0.0.1"),
    ("2002:a9fe:a9fe::", "2002:a9fe:a9fe:: is the 6to4 form of 169.254.169.254"),
    ("2002:808:808::", "2002:808:808:: is the 6to4 form of 8.8.8.8"),
    ("3fff::1", "3fff::1 is a documentation address"),
    ("4000::1", "4000::1 is not a global unicast address"),
    ("5f00::1", "5f00::1 is a segment routing (SRv6) address"),
    ("fc00::1", "fc00::1 is a private (unique local) address"),
    ("fd00:ec2::254", "fd00:ec2::254 is a private (unique local) address"),
    ("fe80::1", "fe80::1 is a link-local address"),
    ("fe80::1%eth0", "fe80::1%eth0 is a link-local address"),
    ("fec0::1", "fec0::1 is a site-local address"),
    ("ff02::1", "ff02::1 is a multicast address"),
]

PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "168.63.129.17",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:1.1.1.1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "3ffe::1",
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_a_special_address_is_refused_and_the_reason_names_it(text: str, reason: str) -> None:
    assert refusal(PUBLIC_ONLY, ip_address(text)) == reason


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_next_to_a_special_range_is_allowed(text: str) -> None:
    assert refusal(PUBLIC_ONLY, ip_address(text)) is None


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_allowed_where_the_rules_say_so(text: str) -> None:
    assert refusal(WITH_LOOPBACK, ip_address(text)) is None


LOOPBACK_TOO = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"}


@pytest.mark.parametrize(("text", "reason"), [row for row in REFUSED if row[0] not in LOOPBACK_TOO])
def test_allowing_loopback_allows_nothing_else(text: str, reason: str) -> None:
    assert refusal(WITH_LOOPBACK, ip_address(text)) == reason


def rules(*networks: str) -> AddressRules:
    return AddressRules(allowed=tuple(ip_network(network) for network in networks))


@pytest.mark.parametrize(
    ("networks", "text"),
    [
        (("10.0.0.0/8",), "10.0.0.5"),
        (("10.0.0.0/8",), "::ffff:10.0.0.5"),
        (("fd00::/8",), "fd00:ec2::254"),
        (("64:ff9b::/96",), "64:ff9b::8.8.8.8"),
        (("64:ff9b:1::/48",), "64:ff9b:1::1"),
        (("64:ff9b::/96", "10.0.0.0/8"), "64:ff9b::10.0.0.5"),
    ],
)
def test_a_listed_network_is_allowed(networks: tuple[str, ...], text: str) -> None:
    assert refusal(rules(*networks), ip_address(text)) is None


@pytest.mark.parametrize(
    ("networks", "text", "reason"),
    [
        (("10.0.0.0/8",), "192.168.0.1", "192.168.0.1 is a private address"),
        (("10.0.0.0/8",), "64:ff9b::10.0.0.5", "64:ff9b::a00:5 is the NAT64 form of 10.0.0.5"),
        (("64:ff9b::/96",), "64:ff9b::10.0.0.5", "10.0.0.5 is a private address"),
        (("2002::/16",), "2002:7f00:1::", "127.0.0.1 is a loopback address"),
    ],
)
def test_a_listed_network_opens_neither_other_networks_nor_what_is_hidden_within(
    networks: tuple[str, ...], text: str, reason: str
) -> None:
    assert refusal(rules(*networks), ip_address(text)) == reason
