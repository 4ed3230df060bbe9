"""Whom a request means, and whom a webhook may call: this machine, or who was named at the start."""

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from psrlib.hub.web.issues import IssueError

ANY_HOST = "*"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its loopback address; a name but ``localhost`` may become any.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "[::1]", "localhost", "127.0.0.1.nip.io")]
    [True, True, True, False]
    """
    bare = host.removeprefix("[").removesuffix("]")
    if bare.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def check_host(header: str | None) -> None:
    """Refuse a request to a hub on loopback that means another host (421).

    A page in a browser may let its own name point to 127.0.0.1; the browser then takes the hub for the
    page's own server, and shows it what the hub answers.
    """
    if header is not None and not is_loopback(_without_port(header)):
        raise IssueError(
            421,
            "APP_ISSUES_08",
            f"this hub listens on loopback and is not '{header[:80]}'; call it by 127.0.0.1 or localhost, or "
            "start it with --host",
        )


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that a request comes from a page of this hub.

    Examples
    --------
    >>> is_own_page({"host": "127.0.0.1:18631", "origin": "http://127.0.0.1:18631"})
    True
    >>> is_own_page({"host": "127.0.0.1:18631"}), is_own_page({"host": "127.0.0.1:18631", "origin": "null"})
    (False, False)
    """
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")


def _without_port(header: str) -> str:
    host, colon, port = header.rpartition(":")
    return host if colon and port.isdigit() and (host.startswith("[") or ":" not in host) else header


def may_be_called(host: str | None, allowed: Collection[str]) -> bool:
    """Whether the hub may send something to a host: loopback, or one that was named at the start."""
    return host is not None and (is_loopback(host) or host in allowed or ANY_HOST in allowed)
