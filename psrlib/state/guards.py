"""What must hold before anything is written to a Control Hub."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.errors import InputError
from psrlib.seed.document import SeedDocument
from psrlib.state.observe import SYSTEM_ORGANIZATION

SHOWN = 3  # organizations named in an error


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine by a loopback address.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:18631"), is_loopback("https://hub.example.com")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(url: str, allow_remote: bool) -> None:
    """Refuse a Control Hub on another machine unless that is meant.

    Raises
    ------
    InputError
        If the hub is not on a loopback address and ``allow_remote`` is false.
    """
    if not allow_remote and not is_loopback(url):
        raise InputError(
            f"{url} is not on this machine; give --yes (notebook: allow_remote) to fill that Control Hub "
            "with generated organizations"
        )


def check_organizations(document: SeedDocument, existing: Collection[str], allow_foreign: bool) -> None:
    """Refuse a Control Hub that holds organizations the seed document does not name.

    Raises
    ------
    InputError
        If it does and ``allow_foreign`` is false.
    """
    foreign = sorted(set(existing) - {o.id for o in document.organizations} - {SYSTEM_ORGANIZATION})
    if foreign and not allow_foreign:
        more = f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else ""
        raise InputError(
            "the Control Hub holds organizations that the seed document does not name: "
            f"{', '.join(foreign[:SHOWN])}{more}; "
            "take an empty one, or give --allow-foreign to leave them alone"
        )


def find_engine(hub: ControlHub, url: str) -> Json:
    """Return the engine with a URL among those of the session's organization.

    Raises
    ------
    InputError
        If none has it.
    """
    engines = hub.jobrunner.engines()
    found = next(
        (engine for engine in engines if str(engine.get("httpUrl")).rstrip("/") == url.rstrip("/")), None
    )
    if found is None:
        known = ", ".join(str(engine.get("httpUrl")) for engine in engines[:SHOWN]) or "none"
        raise InputError(
            f"no engine of organization {hub.organization} has the authoring URL {url} "
            f"(registered: {known}); "
            "leave the authoring engine out, pipelines do not need one"
        )
    return found
