"""Engine registrations: one token per engine of the seed document, kept in the run directory."""

import logging
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from psrlib import engines
from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.engines.database import EngineDatabase
from psrlib.errors import AuthenticationError, HubError, HubUnreachableError, InputError
from psrlib.seed.document import Engine, Organization, SeedDocument
from psrlib.seed.identity import engine_id
from psrlib.state.adoption import held
from psrlib.state.create_once import repeat_lost
from psrlib.state.deployments import active_deployment, active_environment
from psrlib.state.reading import COMPONENT_TYPES, engine_registrations
from psrlib.state.schedule import Steps, run_steps

log = logging.getLogger(__name__)


class Token(NamedTuple):
    """The token of an engine, its registration and its deployment; each empty where there is none."""

    token: str
    registration: str
    deployment: str


def setup_engines(
    document: SeedDocument, hub: ControlHub, run_dir: Path, store: str | None = None
) -> list[engines.EngineIdentity]:
    """Return the identity of every engine, asking the hub for the tokens that the run directory lacks.

    One listing per engine type of an organization, and one call; tokens are saved (mode 0600) before this
    returns. Identities saved by an earlier call are used again as long as the hub knows their registrations.
    Registrations that belong to none of them and that no engine has ever used are removed: their tokens are
    lost, as when a request was delivered twice. Where the hub refuses to list registrations, all identities
    saved are used again and nothing is removed, which is said.

    On release 4 the tokens come from a self-managed deployment for each type of engine where the credentials
    file says so, where the hub refuses registrations without one, and where engines have had one before.

    ``store`` is a database that keeps the identities besides, for other machines
    (`psrlib.engines.database.EngineDatabase`); what it has comes before what is in the run directory.
    """
    document = held(document, hub)
    saved: dict[tuple[str, str], engines.EngineIdentity] = {}
    with suppress(InputError):
        saved = {(i.organization, i.key): i for i in engines.load_identities(run_dir)}
    if store:
        with EngineDatabase(store, hub.url) as database:
            stored = database.load([organization.id for organization in document.organizations])
        saved |= {(i.organization, i.key): i for i in stored}
    random_seed = document.provenance.random_seed
    steps = (_identities(hub, organization, random_seed, saved) for organization in document.organizations)
    identities = [identity for found in run_steps(steps, hub.limit) for identity in found]
    engines.save_identities(run_dir, identities)
    if store:
        with EngineDatabase(store, hub.url) as database:
            database.save(identities)
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
    known = {str(row["id"]) for row in rows or ()}
    kept = [saved[organization.id, e.key] for e in organization.engines if (organization.id, e.key) in saved]
    if rows is not None:
        # What the hub does not know is of another hub; where it does not name them, there must be as many.
        as_many = len(known) >= len(kept)
        kept = [i for i in kept if ({i.id, i.registration} & known if i.registration else as_many)]
    groups: dict[str, list[Engine]] = {}
    for engine in organization.engines:
        groups.setdefault(engine.type, []).append(engine)
    deployed = [i.type for i in kept if i.deployment] if not session.dialect.by_deployment() else list(groups)
    deployments = yield from _deployments(
        session, {type: groups[type] for type in groups if type in deployed}
    )
    kept = [i for i in kept if i.deployment == deployments.get(i.type, "")]
    tokens = {i.key: Token(i.token, i.registration, i.deployment) for i in kept}
    yield [partial(_remove_unused, session, organization, random_seed, rows, tokens)]
    lacking = {type: [e for e in group if e.key not in tokens] for type, group in groups.items()}
    lacking = {type: group for type, group in lacking.items() if group}
    asked = [type for type in lacking if type not in deployments]
    before = None if rows is None else known
    found = yield [
        partial(_tokens, session, COMPONENT_TYPES[type], len(lacking[type]), before) for type in asked
    ]
    refused = {type: groups[type] for type, new in zip(asked, found, strict=True) if new is None}
    deployments |= yield from _deployments(session, refused)
    lacking |= refused
    single = [
        (engine, deployments[type]) for type in lacking if type in deployments for engine in lacking[type]
    ]
    of_deployments = yield [
        partial(_deployment_token, session, deployment, COMPONENT_TYPES[engine.type])
        for engine, deployment in single
    ]
    for type, new in zip(asked, found, strict=True):
        tokens |= {engine.key: token for engine, token in zip(lacking[type], new or (), strict=False)}
    tokens |= {engine.key: token for (engine, _), token in zip(single, of_deployments, strict=True)}
    if lacking and rows is not None:
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
            token=tokens[engine.key].token,
            registration=tokens[engine.key].registration,
            deployment=tokens[engine.key].deployment,
        )
        for engine in organization.engines
    ]


def _remove_unused(
    session: ControlHub,
    organization: Organization,
    random_seed: int,
    rows: list[Json] | None,
    tokens: dict[str, Token],
) -> None:
    """Remove registrations that no engine has used and whose token no identity has."""
    if rows is None or not all(token.registration for token in tokens.values()):
        return  # this hub does not say which registration a token belongs to
    used = {token.registration for token in tokens.values()}
    used |= {engine_id(random_seed, session.organization, engine.key) for engine in organization.engines}
    unused = [str(row["id"]) for row in rows if not row.get("registeredOn") and str(row["id"]) not in used]
    if unused:
        log.warning("%s: %d engine registrations without an engine removed", organization.id, len(unused))
    session.security.delete_components(session.organization, unused)


def _deployments(session: ControlHub, groups: dict[str, list[Engine]]) -> Steps[dict[str, str]]:
    """Return the id of the active deployment for each group of engines, by their type."""
    if not groups:
        return {}
    (environment,) = yield [partial(active_environment, session)]
    ids = yield [
        partial(active_deployment, session, environment, type, group) for type, group in groups.items()
    ]
    return dict(zip(groups, ids, strict=True))


def _deployment_token(session: ControlHub, deployment: str, component_type: str) -> Token:
    """Return a new token of a deployment; that of a lost answer is removed with the unused ones."""
    make = partial(session.provisioning.engine_token, deployment, component_type)
    return _token(repeat_lost(make, lambda: None), deployment)


def _tokens(session: ControlHub, component_type: str, n: int, before: set[str] | None) -> list[Token] | None:
    """Return ``n`` new tokens; registrations of a lost answer are removed unless the hub lists none.

    None where the hub refuses registrations without a deployment.
    """
    security, organization = session.security, session.organization

    def forget_lost() -> None:
        if before is None:
            return
        rows = security.components(organization, component_type)
        ids = {str(row["id"]) for row in rows if row.get("type") in (None, component_type)}
        security.delete_components(organization, sorted(ids - before))

    try:
        rows = repeat_lost(lambda: security.create_components(organization, component_type, n), forget_lost)
    except (AuthenticationError, HubUnreachableError):
        raise
    except HubError as error:
        if not session.dialect.by_deployment(error):
            message = f"{organization}: no tokens for {n} engines of type {component_type}: {error}"
            raise HubError(message, error.status, error.codes) from error
        log.warning("%s: engines get their tokens from a deployment, as %s", organization, error)
        return None
    return [_token(row) for row in rows]


def _token(row: Json, deployment: str = "") -> Token:
    id = row.get("id") or row.get("componentId") or ""
    return Token(str(row["fullAuthToken"]), str(id), deployment)
