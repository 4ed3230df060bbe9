"""Engine registrations: one token per engine of the seed document, kept in the run directory."""

import logging
from contextlib import suppress
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
    saved: dict[tuple[str, str], str] = {}
    with suppress(InputError):
        saved = {(i.organization, i.key): i.token for i in engines.load_identities(run_dir)}
    random_seed = document.provenance.random_seed
    steps = (_identities(hub, organization, random_seed, saved) for organization in document.organizations)
    identities = [identity for found in run_steps(steps, hub.limit) for identity in found]
    engines.save_identities(run_dir, identities)
    log.info("%d engine identities in %s", len(identities), run_dir)
    return identities


def _identities(
    hub: ControlHub, organization: Organization, random_seed: int, saved: dict[tuple[str, str], str]
) -> Steps[list[engines.EngineIdentity]]:
    keys = [engine.key for engine in organization.engines if (organization.id, engine.key) in saved]
    tokens = {key: saved[organization.id, key] for key in keys}
    session = hub.for_organization(organization.id)
    (components,) = yield [partial(session.security.components, organization.id)]
    if len(components) < len(tokens):
        tokens = {}  # another hub than the one that gave the tokens
    if not tokens:  # registrations whose tokens are lost: no engine can use them
        orphans = [str(row["id"]) for row in components if not row.get("registeredOn")]
        yield [partial(session.security.delete_components, organization.id, orphans)]
        components = [row for row in components if row.get("registeredOn")]
    before = {str(row["id"]) for row in components}
    lacking: dict[str, list[Engine]] = {}
    for engine in organization.engines:
        if engine.key not in tokens:
            lacking.setdefault(engine.type, []).append(engine)
    found = yield [
        partial(_tokens, session, organization.id, COMPONENT_TYPES[engine_type], len(group), before)
        for engine_type, group in lacking.items()
    ]
    for group, new in zip(lacking.values(), found, strict=True):
        tokens |= {engine.key: token for engine, token in zip(group, new, strict=True)}
    return [
        engines.EngineIdentity(
            organization=organization.id,
            key=engine.key,
            id=engine_id(random_seed, organization.id, engine.key),
            url=engine.url,
            type=engine.type,
            labels=engine.labels,
            token=tokens[engine.key],
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
        ids = {str(row["id"]) for row in rows}
        security.delete_components(organization, sorted(ids - before))

    rows = repeat_lost(lambda: security.create_components(organization, component_type, n), forget_lost)
    return [str(row["fullAuthToken"]) for row in rows]
