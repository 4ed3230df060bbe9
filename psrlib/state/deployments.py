"""Self-managed deployments of release 4: the other way to tokens of engines (control-hub-4x, 4.4, 5.1)."""

import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter

from psrlib.client import ControlHub
from psrlib.client.wire import Json, is_absent
from psrlib.errors import HubError
from psrlib.seed.document import Engine
from psrlib.state.create_once import create_named

ENGINE_TYPES = {"COLLECTOR": "DC", "TRANSFORMER": "TF"}
NAMES = {"COLLECTOR": "Simulated Data Collectors", "TRANSFORMER": "Simulated Transformers"}
ENVIRONMENT = "Simulated engines"
ACTIVE = "ACTIVE"
ACTIVE_S = 300.0  # for the hub to activate what nobody has to be started for
POLL_S = 0.3


def active_environment(session: ControlHub) -> str:
    """Return the id of the organization's first active self-managed environment; without one, make it.

    Raises
    ------
    HubError
        If the hub refuses, or does not activate it.
    """
    hub = session.provisioning
    rows = hub.environments()
    active = next((row for row in rows if row.get("stateDisplayLabel") == ACTIVE), None)
    if active is not None:
        return str(active["id"])
    made = _found_or_made(rows, ENVIRONMENT, lambda: hub.create_environment(ENVIRONMENT), hub.environments)
    hub.activate_environments([made["id"]])
    _wait_until_active("environment", partial(hub.environment, made["id"]))
    return str(made["id"])


def active_deployment(
    session: ControlHub, environment: str, engine_type: str, engines: Sequence[Engine]
) -> str:
    """Return the id of the deployment for an organization's engines of a type, which has their labels.

    It is known by its name; what an interrupted run left of it is completed.

    Raises
    ------
    HubError
        If the hub refuses, or does not start it.
    """
    hub, name = session.provisioning, NAMES[engine_type]
    made = _found_or_made(
        hub.deployments(),
        name,
        lambda: hub.create_deployment(_new_deployment(session, environment, engine_type)),
        hub.deployments,
    )
    deployment = hub.deployment(made["id"])
    configuration = deployment.get("engineConfiguration") or {}
    labels = sorted({label for engine in engines for label in engine.labels})
    if deployment.get("state") == "INCOMPLETE" or configuration.get("labels") != labels:
        advanced = configuration.get("advancedConfiguration")
        if advanced is None:
            version = hub.engine_version(str(configuration["engineVersionId"]))
            advanced = version.get("advancedConfiguration")
        configuration = {**configuration, "labels": labels, "advancedConfiguration": advanced}
        hub.complete_deployment(
            {**deployment, "installType": "TARBALL", "engineConfiguration": configuration}
        )
        deployment = hub.deployment(made["id"])
    if deployment.get("stateDisplayLabel") != ACTIVE:
        hub.start_deployments([made["id"]])
        _wait_until_active("deployment", partial(hub.deployment, made["id"]))
    return str(made["id"])


def remove_deployments(session: ControlHub) -> None:
    """Remove the deployments and the environment that were made; those of others stay."""
    hub = session.provisioning
    try:
        deployments = hub.deployments()
    except HubError as error:
        if is_absent(error):
            return
        raise
    ours = [row for row in deployments if row["name"] in NAMES.values()]
    if not ours:
        return
    hub.delete_deployments([str(row["id"]) for row in ours])
    used = {row.get("environment") for row in deployments if row not in ours}
    environments = [row for row in hub.environments() if row["name"] == ENVIRONMENT and row["id"] not in used]
    if environments:
        hub.delete_environments([str(row["id"]) for row in environments])


def _found_or_made(
    rows: list[Json], name: str, make: Callable[[], Json], find: Callable[[], list[Json]]
) -> Json:
    found = next((row for row in rows if row["name"] == name), None)
    return found or create_named({name: name}, lambda _: [make()], find, itemgetter("name"))[name]


def _new_deployment(session: ControlHub, environment: str, engine_type: str) -> Json:
    """Return a deployment of the newest version that the hub allows."""
    kind = ENGINE_TYPES[engine_type]
    versions = session.provisioning.engine_versions(kind)
    if not versions:
        raise HubError(
            f"{session.organization}: expected a released engine version of type {kind}, the hub allows "
            "none; allow one in the environment's organization"
        )
    newest = max(versions, key=lambda row: [int(n) for n in re.findall(r"\d+", row["engineVersion"])])
    return {
        "name": NAMES[engine_type],
        "type": "SELF",
        "envId": environment,
        "engineType": kind,
        "engineVersionId": newest["id"],
        "engineVersion": newest["engineVersion"],
        "scalaBinaryVersion": newest.get("scalaBinaryVersion"),
        "rawDeploymentTags": [],
    }


def _wait_until_active(what: str, read: Callable[[], Json]) -> None:
    deadline = time.monotonic() + ACTIVE_S
    while (label := (row := read()).get("stateDisplayLabel")) != ACTIVE:
        if label == "ACTIVATION_ERROR" or time.monotonic() > deadline:
            detail = row.get("statusDetail") or "the hub says no more"
            raise HubError(f'{what} "{row["name"]}": expected {ACTIVE}, it is {label}: {detail}; try again')
        time.sleep(POLL_S)
