"""Engine registrations: one token per engine of the seed document, kept in the run directory."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from psrlib import engines
from psrlib.client import ControlHub
from psrlib.errors import InputError
from psrlib.seed.document import Engine, Organization, SeedDocument
from psrlib.seed.identity import engine_id
from psrlib.state.create_once import repeat_lost
from psrlib.state.schedule import Steps, run_steps

log = logging.getLogger(__name__)

COMPONENT_TYPES = {"COLLECTOR": "dc", "TRANSFORMER": "transformer"}  # control-hub-rest, 6.1


def setup_engines(document: SeedDocument, hub: ControlHub, run_dir: Path) -> list[engines.EngineIdentity]:
    """Return the identity of every engine, asking the hub for the tokens that the run directory lacks.

    One listing per organization and one call per engine type; tokens are saved (mode 0600) before this
    returns. Identities saved by an earlier call are used again as long as the hub knows their registrations.
    """
    saved = {(i.organization, i.key): i for i in _saved(run_dir)}
    random_seed = document.provenance.random_seed
    steps = (_identities(hub, organization, random_seed, saved) for organization in document.organizations)
    identities = [identity for found in run_steps(steps, hub.limit) for identity in found]
    engines.save_identities(run_dir, identities)
    log.info("%d engine identities in %s", len(identities), run_dir)
    return identities


def _saved(run_dir: Path) -> list[engines.EngineIdentity]:
    try:
        return list(engines.load_identities(run_dir))
    except (InputError, FileNotFoundError):
        return []


def _identities(
    hub: ControlHub,
    organization: Organization,
    random_seed: int,
    saved: dict[tuple[str, str], engines.EngineIdentity],
) -> Steps[list[engines.EngineIdentity]]:
    known = {
        e.key: saved[organization.id, e.key]
        for e in organization.engines
        if (organization.id, e.key) in saved
    }
    session = hub.for_organization(organization.id)
    (components,) = yield [partial(session.security.components, organization.id)]
    if len(components) < len(known):
        known = {}  # another hub than the one that gave the tokens
    if not known:
        orphans = [str(row["id"]) for row in components if not row.get("registeredOn")]
        yield [partial(_delete, session, organization.id, orphans)]
        components = [row for row in components if row.get("registeredOn")]
    before = {str(row["id"]) for row in components}
    lacking: dict[str, list[Engine]] = {}
    for engine in organization.engines:
        if engine.key not in known:
            lacking.setdefault(engine.type, []).append(engine)
    found = yield [
        partial(_tokens, session, organization.id, COMPONENT_TYPES[engine_type], len(group), before)
        for engine_type, group in lacking.items()
    ]
    tokens = {
        engine.key: token
        for group, rows in zip(lacking.values(), found, strict=True)
        for engine, token in zip(group, rows, strict=True)
    }
    return [
        engines.EngineIdentity(
            organization=organization.id,
            key=engine.key,
            id=engine_id(random_seed, organization.id, engine.key),
            url=engine.url,
            type=engine.type,
            labels=engine.labels,
            token=known[engine.key].token if engine.key in known else tokens[engine.key],
        )
        for engine in organization.engines
    ]


def _tokens(
    session: ControlHub, organization: str, component_type: str, n: int, before: set[str]
) -> list[str]:
    """Return ``n`` new tokens; registrations whose answer was lost can never be used and are removed."""
    security = session.security

    def forget_lost() -> None:
        rows = [row for row in security.components(organization) if row.get("type") in (None, component_type)]
        _delete(session, organization, [str(row["id"]) for row in rows if str(row["id"]) not in before])

    rows = repeat_lost(lambda: security.create_components(organization, component_type, n), forget_lost)
    return [str(row["fullAuthToken"]) for row in rows]


def _delete(session: ControlHub, organization: str, ids: list[str]) -> None:
    """Remove registrations that no engine can use because their tokens are lost."""
    if ids:
        session.security.delete_components(organization, ids)
