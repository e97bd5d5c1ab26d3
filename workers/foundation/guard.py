"""Addresses that others name: looked up once, checked, and connected to as they were checked.

Whoever names an address could have us ask what only we can reach: a cloud's metadata, a server on loopback. A
name that is looked up a second time could be another one by then.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from workers.foundation.errors import ExpectedError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Where a gateway of IPv6 has addresses of IPv4 (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: What is special by IANA's registries, and global to Python's list.
_SPECIAL = [
    ipaddress.ip_network(one)
    for one in (
        "64:ff9b:1::/48",
        "fec0::/10",
        "3fff::/20",
        "5f00::/16",
        "192.88.99.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
    )
]
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class AddressRefused(ExpectedError):
    """{host} is not connected to: {why}"""

    http_status = 422


def networks(text: str) -> list[Network]:
    """Return networks from text, with spaces between; raises ValueError."""
    return [ipaddress.ip_network(one) for one in text.split()]


def checked(url: str, allowed: Iterable[Network] = ()) -> tuple[str, int]:
    """Return address and port to connect to for a URL; all that its host stands for must be good.

    Public addresses are, and those in the networks that are allowed. Raises AddressRefused.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise AddressRefused(host="the address", why="it can't be read") from None
    if not host or not port:
        raise AddressRefused(host=host or "the address", why="name a host, with http, https, ws or wss")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused(host=host[:80], why="nobody knows that name") from None
    addresses = [str(where[0]) for *_, where in found]
    for one in addresses:
        if not is_good(ipaddress.ip_address(one.partition("%")[0]), allowed):
            raise AddressRefused(host=host[:80], why=f"{one} is no public address, nor one that is allowed")
    return addresses[0], port


def is_good(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Tell whether an address is public or allowed, and so is every one that it stands for."""
    inner = _inner(address)
    if inner is not None:
        return is_good(inner, allowed)
    if any(address in network for network in allowed if network.version == address.version):
        return True
    special = any(address in network for network in _SPECIAL if network.version == address.version)
    return address.is_global and not address.is_multicast and not special


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    """Return the address of IPv4 that one of IPv6 stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    # `::a.b.c.d` (RFC 4291) and `::ffff:0:a.b.c.d` (RFC 2765), too.
    if int(address) >> 32 in (0, 0xFFFF0000) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
