"""Engine registrations: one token per engine of the seed document, kept in the run directory."""

import logging
from contextlib import suppress
from functools import partial
from pathlib import Path

from psrlib import engines
from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.errors import InputError
from psrlib.seed.document import Engine, Organization, SeedDocument
from psrlib.seed.identity import engine_id
from psrlib.state.adoption import held
from psrlib.state.create_once import repeat_lost
from psrlib.state.reading import COMPONENT_TYPES, engine_registrations
from psrlib.state.schedule import Steps, run_steps

log = logging.getLogger(__name__)


def setup_engines(document: SeedDocument, hub: ControlHub, run_dir: Path) -> list[engines.EngineIdentity]:
    """Return the identity of every engine, asking the hub for the tokens that the run directory lacks.

    One listing per engine type of an organization, and one call; tokens are saved (mode 0600) before this
    returns. Identities saved by an earlier call are used again as long as the hub knows their registrations.
    Registrations that belong to none of them and that no engine has ever used are removed: their tokens are
    lost, as when a request was delivered twice.
    """
    document = held(document, hub)
    saved: dict[tuple[str, str], engines.EngineIdentity] = {}
    with suppress(InputError):
        saved = {(i.organization, i.key): i for i in engines.load_identities(run_dir)}
    random_seed = document.provenance.random_seed
    steps = (_identities(hub, organization, random_seed, saved) for organization in document.organizations)
    identities = [identity for found in run_steps(steps, hub.limit) for identity in found]
    engines.save_identities(run_dir, identities)
    log.info("%d engine identities in %s", len(identities), run_dir)
    return identities


def _identities(
    hub: ControlHub,
    organization: Organization,
    random_seed: int,
    saved: dict[tuple[str, str], engines.EngineIdentity],
) -> Steps[list[engines.EngineIdentity]]:
    session = hub.for_organization(organization.id)
    listing = partial(engine_registrations, session, organization)
    (rows,) = yield [listing]
    known = {str(row["id"]) for row in rows}
    kept = [saved[organization.id, e.key] for e in organization.engines if (organization.id, e.key) in saved]
    # Those that the hub does not know are another hub's; where it does not name them, there must be as many.
    as_many = len(known) >= len(kept)
    kept = [i for i in kept if ({i.id, i.registration} & known if i.registration else as_many)]
    tokens = {identity.key: (identity.token, identity.registration) for identity in kept}
    yield [partial(_remove_unused, session, organization, random_seed, rows, tokens)]
    lacking: dict[str, list[Engine]] = {}
    for engine in organization.engines:
        if engine.key not in tokens:
            lacking.setdefault(engine.type, []).append(engine)
    found = yield [
        partial(_tokens, session, session.organization, COMPONENT_TYPES[engine_type], len(group), known)
        for engine_type, group in lacking.items()
    ]
    for group, new in zip(lacking.values(), found, strict=True):
        tokens |= {engine.key: token for engine, token in zip(group, new, strict=True)}
    if lacking:
        (rows,) = yield [listing]
        yield [partial(_remove_unused, session, organization, random_seed, rows, tokens)]
    return [
        engines.EngineIdentity(
            organization=organization.id,
            key=engine.key,
            id=engine_id(random_seed, session.organization, engine.key),
            url=engine.url,
            type=engine.type,
            labels=engine.labels,
            token=tokens[engine.key][0],
            registration=tokens[engine.key][1],
        )
        for engine in organization.engines
    ]


def _remove_unused(
    session: ControlHub,
    organization: Organization,
    random_seed: int,
    rows: list[Json],
    tokens: dict[str, tuple[str, str]],
) -> None:
    """Remove registrations that no engine has used and whose token no identity has."""
    if not all(registration for _, registration in tokens.values()):
        return  # this hub does not say which registration a token belongs to
    used = {registration for _, registration in tokens.values()}
    used |= {engine_id(random_seed, session.organization, engine.key) for engine in organization.engines}
    unused = [str(row["id"]) for row in rows if not row.get("registeredOn") and str(row["id"]) not in used]
    if unused:
        log.warning("%s: %d engine registrations without an engine removed", organization.id, len(unused))
    session.security.delete_components(session.organization, unused)


def _tokens(
    session: ControlHub, organization: str, component_type: str, n: int, before: set[str]
) -> list[tuple[str, str]]:
    """Return ``n`` new tokens, each with its registration; registrations of a lost answer are removed."""
    security = session.security

    def forget_lost() -> None:
        rows = security.components(organization, component_type)
        ids = {str(row["id"]) for row in rows if row.get("type") in (None, component_type)}
        security.delete_components(organization, sorted(ids - before))

    rows = repeat_lost(lambda: security.create_components(organization, component_type, n), forget_lost)
    return [(str(row["fullAuthToken"]), str(row.get("id") or row.get("componentId") or "")) for row in rows]
