"""Which addresses the studio may fetch: of outside servers only, however the address is written.

The web's many ways to write 127.0.0.1 (`127.1`, `0x7f.1`, `2130706433`, circled digits, `[::ffff:127.0.0.1]`) are
refused by form; what a name leads to is checked by number, with `is_public`, and only that number is connected to.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple, Self
from urllib.parse import SplitResult, urlsplit

from imagegen.core.errors import StudioError
from imagegen.core.text import N_

LONGEST = 8192
"""Characters of an address; signed ones reach two thousand."""

HTTPS_PORTS = frozenset({443})
_USUAL_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# A name whose last label is one of these is read as an IPv4 address: https://url.spec.whatwg.org/#ends-in-a-number-checker
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

_BANNED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own, RFC 6598
        "127.0.0.0/8",  # this machine
        "168.63.129.16/32",  # Azure's service for its machines
        "169.254.0.0/16",  # link; clouds' secrets
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # many at once
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
"""All that is given out; beside it lie mapped and compatible IPv4, NAT64, private, link and multicast addresses."""
_BANNED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which hides an IPv4 address
        "3fff::/20",  # documentation
    )
)

IPAddress = IPv4Address | IPv6Address


class AddressRefused(StudioError):
    """The studio will not fetch that address; the sentence says why."""


class Origin(NamedTuple):
    """Where a server listens."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the origin of `url`, as an operator set it; raise ValueError if it has none."""
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("an address without a host")
        return cls(parts.scheme, parts.hostname, parts.port or _USUAL_PORTS[parts.scheme])

    @property
    def shown_host(self) -> str:
        """Return the host as it stands in an address."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """Return what a Host header says."""
        usual = self.port == _USUAL_PORTS[self.scheme]
        return self.shown_host if usual else f"{self.shown_host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """An address whose form is in order. `trusted`: it is an operator's own, which may be in a private network."""

    url: str = field(repr=False)
    origin: Origin
    path: str = field(repr=False)
    trusted: bool


def check(url: str, allowed: Collection[Origin] = ()) -> Target:
    """Return `url` taken apart, or raise AddressRefused.

    It must be https on its usual port with a host that is a name, or an address in its one canonical form.
    `allowed` are the origins that an operator has set: they may be anything. Asks no network.
    """
    if len(url) > LONGEST or not _URL.fullmatch(url):
        raise AddressRefused(NOT_AN_ADDRESS)
    try:
        parts = urlsplit(url)
        origin = Origin.of(url)
    except (ValueError, KeyError):
        raise AddressRefused(NOT_AN_ADDRESS) from None
    if "@" in parts.netloc:
        raise AddressRefused(N_("An address with a user name or a password in it is not fetched."))
    trusted = origin in allowed
    if not trusted:
        _check_form(parts, origin)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(url=url, origin=origin, path=path, trusted=trusted)


NOT_AN_ADDRESS = N_("This is not an address that can be fetched.")
PRIVATE = N_("This address leads into a private network.")


def _check_form(parts: SplitResult, origin: Origin) -> None:
    if origin.scheme != "https" or origin.port not in HTTPS_PORTS:
        raise AddressRefused(N_("Only addresses that begin with https:// are fetched, and only on the usual port."))
    # What is left over between the parts ("[::1]x", "host:", ":0443") is read differently by different readers.
    if parts.netloc.lower() not in (origin.shown_host, f"{origin.shown_host}:{origin.port}"):
        raise AddressRefused(NOT_AN_ADDRESS)
    literal = literal_of(origin.host)
    if literal is None and not _is_name(origin.host):
        raise AddressRefused(NOT_AN_ADDRESS)
    if literal is not None and not is_public(literal):
        raise AddressRefused(PRIVATE)


def literal_of(host: str) -> IPAddress | None:
    """Return the IP address that `host` is, or None if it is a name."""
    try:
        # A zone ("%eth0") means an interface of this machine, so such an address is never an outside one.
        return None if "%" in host else ip_address(host)
    except ValueError:
        return None


def _is_name(host: str) -> bool:
    return bool(_NAME.fullmatch(host)) and not _NUMBER.fullmatch(host.rpartition(".")[2])


def is_public(address: IPAddress) -> bool:
    """Tell whether `address` is of a server out on the internet.

    Python's `is_global` alone says yes to 64:ff9b::7f00:1, 2002:7f00:1::, ::127.0.0.1 and 224.0.0.1.
    """
    if not address.is_global:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _BANNED_V4)
    return address in _PUBLIC_V6 and not any(address in network for network in _BANNED_V6)
