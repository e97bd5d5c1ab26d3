"""What addresses that others name may stand for."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest

from workers.foundation import guard
from workers.foundation.guard import AddressRefused

#: IANA's special-purpose registries, a few of each.
PRIVATE = (
    "0.0.0.0",  # noqa: S104
    "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "64:ff9b:1::1", "100::1", "2001:db8::1", "fc00::1", "fd12:3456::1", "fe80::1",
    "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254",
    "64:ff9b::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "fec0::1", "::127.0.0.1",
    "::ffff:0:7f00:1", "5f00::1", "192.88.99.1",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not guard.is_good(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_not(address: str) -> None:
    assert guard.is_good(ip_address(address))


def test_a_network_that_is_allowed_is_good_and_no_other() -> None:
    own = guard.networks("10.0.0.0/8 ::1/128")
    assert guard.is_good(ip_address("10.1.2.3"), own)
    assert guard.is_good(ip_address("::ffff:10.1.2.3"), own)
    assert guard.is_good(ip_address("::1"), own)
    assert not guard.is_good(ip_address("169.254.169.254"), own)
    assert not guard.is_good(ip_address("192.168.0.1"), own)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/",
        "http://[::1]/", "http://[::ffff:7f00:1]/", "ws://localhost:9", "https://user@127.0.0.1:443/x",
        "http://[fe80::1%25eth0]/", "http://169.254.169.254/latest/meta-data",
    ],
)  # fmt: skip
def test_each_way_to_write_it_is_the_same_address(url: str) -> None:
    with pytest.raises(AddressRefused):
        guard.checked(url)


@pytest.mark.parametrize(
    "url", ["", "http://", "//x", "file:///etc/passwd", "gopher://1.1.1.1", "http://[", "http://a:b/"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        guard.checked(url)


def test_one_bad_address_of_a_name_is_enough_and_it_is_looked_up_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def _two(host: str, port: int, **_more: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("8.8.8.8", port)), (2, 1, 6, "", ("10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", _two)
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        guard.checked("https://rebinding.example")
    assert guard.checked("https://rebinding.example", guard.networks("10.0.0.0/8")) == ("8.8.8.8", 443)
    assert len(asked) == 2
