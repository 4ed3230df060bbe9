"""What must hold before anything is written to a Control Hub."""

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Set
from urllib.parse import urlsplit

import orjson

from psrlib.client import ControlHub
from psrlib.client.http import ADDRESS, is_address
from psrlib.client.wire import Json
from psrlib.errors import AuthenticationError, InputError
from psrlib.hub import EMBEDDED
from psrlib.process import fetch
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.observe import find_foreign
from psrlib.state.reading import hub_name

HEALTH_S = 5.0  # for the answer that tells an embedded hub
SHOWN = 3  # organizations named in an error
LOOKED_AT = 3  # organizations whose contents tell which seed document a hub was populated from
SAME_SHARE = 0.3  # of names; different seeds share some, a hub keeps nearly all of its own
Name = tuple[str, str]  # organization and what is in it


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


def is_embedded(url: str) -> bool:
    """Whether a Control Hub says that it is one of the kit's own, as in a network of containers."""
    answer = fetch(f"{url.rstrip('/')}/public-rest/v1/health?details=true", timeout_s=HEALTH_S)
    try:
        said = orjson.loads(answer or b"")
    except orjson.JSONDecodeError:
        return False
    return isinstance(said, dict) and said.get("builtBy") == EMBEDDED


def check_address(url: str, allow_remote: bool) -> None:
    """Refuse a Control Hub on another machine unless that is meant, or it is an embedded one.

    Raises
    ------
    InputError
        If it is no address, or the hub is not on a loopback address, is none of the kit's own, and
        ``allow_remote`` is false.
    """
    if not is_address(url):
        raise InputError(f'"{url}" is no Control Hub address; expected {ADDRESS}')
    if not (allow_remote or is_loopback(url) or is_embedded(url)):
        raise InputError(
            f"{url} is not on this machine, and no embedded hub; give --yes (notebook: allow_remote) to fill "
            "that Control Hub with generated organizations"
        )


def check_organizations(document: SeedDocument, listed: Mapping[str, Json], allow_foreign: bool) -> None:
    """Refuse a Control Hub that holds organizations the seed document does not name (`find_foreign`).

    Raises
    ------
    InputError
        If it does and ``allow_foreign`` is false.
    """
    foreign = find_foreign(document, listed)
    if foreign and not allow_foreign:
        more = f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else ""
        raise InputError(
            "the Control Hub holds organizations that the seed document does not name: "
            f"{', '.join(foreign[:SHOWN])}{more}; "
            "take an empty one, or give --allow-foreign to leave them alone"
        )


def is_other_content(desired: Set[Name], seen: Set[Name]) -> bool:
    """Whether names on a hub are not those of a seed document, where both have some.

    Examples
    --------
    >>> ours = {("o", "a"), ("o", "b")}
    >>> is_other_content(ours, {("o", "a"), ("o", "x")}), is_other_content(ours, {("o", "x")})
    (False, True)
    """
    return len(desired & seen) < SAME_SHARE * min(len(desired), len(seen))


def content_names(organizations: Iterable[Organization]) -> set[Name]:
    """Return what a random seed names: pipelines and jobs, each with its organization."""
    return {
        (organization.id, name)
        for organization in organizations
        for name in (*(p.name for p in organization.pipelines), *(j.name for j in organization.jobs))
    }


def check_contents(document: SeedDocument, hub: ControlHub, existing: Collection[str]) -> None:
    """Refuse a Control Hub whose organizations were populated from another seed document.

    Looks at the pipelines and jobs of the first few organizations that are there already.

    Raises
    ------
    InputError
        If hardly any has a name of the seed document.
    """
    there = [o for o in document.organizations if o.id in existing and o.pipelines]
    desired: set[Name] = set()
    seen: set[Name] = set()
    for organization in there[:LOOKED_AT]:
        session = hub.for_organization(organization.id)
        try:
            rows = session.pipelinestore.pipelines() + session.jobrunner.jobs()
        except AuthenticationError:  # begun and not finished, or locked
            continue
        desired |= content_names([organization])
        seen |= {(organization.id, hub_name(row)) for row in rows}
    if is_other_content(desired, seen):
        raise InputError(
            f"{hub.url} holds organizations with these ids but other pipelines and jobs than "
            f"{describe(document)} names: it was populated from another seed document; "
            "take an empty hub (another run directory), or remove them with psr teardown and that document"
        )


def describe(document: SeedDocument) -> str:
    """Return what to call a seed document in an error."""
    origin = document.provenance
    return (
        f"this seed document (random seed {origin.random_seed}, {len(document.organizations)} organizations)"
    )


def find_engine(hub: ControlHub, url: str) -> Json:
    """Return the engine with a URL among those of the session's organization.

    Raises
    ------
    InputError
        If none has it.
    """
    engines = {str(engine.get("httpUrl")).rstrip("/"): engine for engine in hub.jobrunner.engines()}
    if url.rstrip("/") not in engines:
        raise InputError(
            f"no engine of organization {hub.organization} has the authoring URL {url} "
            f"(registered: {', '.join([*engines][:SHOWN]) or 'none'}); "
            "leave the authoring engine out, pipelines do not need one"
        )
    return engines[url.rstrip("/")]
