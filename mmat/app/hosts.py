"""The names that the page answers to, so that no other website reaches it through a browser.

A website can point a name of its own at this machine (DNS rebinding): then the browser sends that
name as Host. Or it sends a form to the page's address: then the browser sends the website as
Origin. Starlette's TrustedHostMiddleware looks at Host alone, without its port, and cannot know the
address at which a connection arrived.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence

from mmat.files import InputError

DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(
    r"(?P<name>\[[0-9a-f.]*:[0-9a-f:.]*\]|[a-z0-9_][a-z0-9._-]{0,253})(:(?P<port>[0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/]+)", re.ASCII | re.IGNORECASE)


class Hosts:
    """The names and addresses of a page.

    listening: the name or address that the page listens on; 0.0.0.0 or :: for all. allowed: more
    names, `NAME` for the default ports and the page's own or `NAME:PORT`. Raises InputError for a
    name that is none.

    >>> hosts = Hosts("127.0.0.1", ["tags.example.org"])
    >>> here = "127.0.0.1", 7860  # where the connection arrived
    >>> hosts.refusal(["localhost:7860"], [], here)
    >>> hosts.refusal(["tags.example.org"], ["https://tags.example.org"], here)
    >>> print(hosts.refusal(["evil.example:7860"], [], here))
    this page does not answer to the name evil.example:7860; if the name is yours, start the page \
with --allow-host evil.example:7860
    """

    def __init__(self, listening: str, allowed: Iterable[str] = ()):
        own = {"localhost", "127.0.0.1", "::1", _normal(listening)}
        if not own <= {"localhost", "127.0.0.1", "::1"}:
            own |= {_normal(socket.gethostname()), _normal(socket.getfqdn())}
        self._own = own
        self._allowed = [_allowed(name) for name in allowed]

    def refusal(
        self, hosts: Sequence[str], origins: Sequence[str], server: tuple[str, int]
    ) -> str | None:
        """Return in a sentence why a request is refused, or None.

        hosts, origins: what the request's Host and Origin headers hold. server: address and port of
        this machine at which it arrived.
        """
        if len(hosts) != 1 or not (host := _parsed(hosts[0])):
            return (
                "the request does not say in one Host header which page it is for, such as "
                f"localhost:{server[1]} or a name that was given by --allow-host"
            )
        name, port = host
        if not self._knows(name, {port} if port else set(DEFAULT_PORTS.values()), server):
            return (
                f"this page does not answer to the name {hosts[0]}; if the name is yours, start "
                f"the page with --allow-host {hosts[0]}"
            )
        if origins and not (len(origins) == 1 and self._knows_origin(origins[0], server)):
            found = _ORIGIN.fullmatch(origins[0])
            known = found and _parsed(found["authority"])
            option = found["authority"] if known else "NAME"
            return (
                f"this page takes nothing from {'the page at ' + option if known else 'a page'} "
                "of another name; if the name is yours, start the page with --allow-host " + option
            )
        return None

    def _knows_origin(self, origin: str, server: tuple[str, int]) -> bool:
        found = _ORIGIN.fullmatch(origin)  # not `null`, which sandboxed pages and files send
        if not found or not (authority := _parsed(found["authority"])):
            return False
        name, port = authority
        return self._knows(name, {port or DEFAULT_PORTS[found["scheme"].lower()]}, server)

    def _knows(self, name: str, ports: set[int], server: tuple[str, int]) -> bool:
        """Say whether a name is the page's, at one of the ports."""
        address, own_port = _normal(server[0]), server[1]
        if own_port in ports and (name in self._own or name == address):
            return True
        return any(
            name == allowed and ports & ({port} if port else {*DEFAULT_PORTS.values(), own_port})
            for allowed, port in self._allowed
        )


def _parsed(authority: str) -> tuple[str, int | None] | None:
    """Return name and port of `NAME`, `NAME:PORT` or `[ADDRESS]:PORT`, or None for another text."""
    found = _AUTHORITY.fullmatch(authority)
    if not found or not _normal(found["name"]):
        return None
    return _normal(found["name"]), int(found["port"]) if found["port"] else None


def _normal(name: str) -> str:
    """Return the one spelling of a name or address.

    >>> [_normal(name) for name in ("LocalHost.", "[0:0::1]", "::ffff:10.0.0.7")]
    ['localhost', '::1', '10.0.0.7']
    """
    name = name.strip("[]").partition("%")[0].lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    return str(getattr(address, "ipv4_mapped", None) or address)


def _allowed(name: str) -> tuple[str, int | None]:
    try:
        found = _parsed(name if name.isascii() else name.encode("idna").decode())
    except UnicodeError:
        found = None
    if not found:
        raise InputError(
            f"--allow-host {name}: this is no name of a host; write it as in "
            "tags.example.org or tags.example.org:8443"
        )
    return found
