"""The client's calls on a Control Hub: the embedded one, or the one that PSR_SCH_URL names.

Every test works in one new organization and relies on documented behaviour only (control-hub-rest), so that
the same suite tells whether a real 3.x hub is understood. A real hub keeps the organization afterwards.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
import pytest

from psrlib import paths, seed
from psrlib.client import ControlHub
from psrlib.client.apps import jobrunner, notification, scheduler
from psrlib.client.wire import is_absent
from psrlib.errors import AuthenticationError, HubError
from psrlib.hub.process.hub_process import start_hub
from psrlib.model import NoiseModel
from psrlib.seed.document import Organization, Pipeline, SeedDocument

PASSWORD = "admin@admin"
ROLES = ["user", "org-user", "pipelinestore:pipelineEditor", "jobrunner:operator"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlHub]:
    """Return a session of the system administrator."""
    if url := os.environ.get("PSR_SCH_URL"):
        user = os.environ.get("PSR_SCH_USERNAME", "admin@admin")
        with ControlHub(url, user, os.environ["PSR_SCH_PASSWORD"]) as session:
            yield session
        return
    with (
        start_hub(tmp_path_factory.mktemp("contract")) as process,
        ControlHub(process.url, "admin@admin", PASSWORD) as session,
    ):
        yield session


@pytest.fixture(scope="module")
def organization(hub: ControlHub) -> str:
    """Return the id of a new organization whose administrator can log in: the vendor's bootstrap (1.3)."""
    id = f"psr{int(time.time())}"
    admin = {"id": f"admin@{id}", "name": "Admin", "email": f"admin@{id}.example.com"}
    roles = [*ROLES, "org-admin", "topology:editor", "notification:user", "datacollector:admin"]
    hub.security.create_organization(id, "Contract test", {**admin, "roles": roles})
    record = next(row for row in hub.security.users(id) if row["id"] == admin["id"])
    hub.security.update_user(id, record)
    return id


@pytest.fixture(scope="module")
def session(hub: ControlHub, organization: str) -> ControlHub:
    """Return a session of the organization's administrator."""
    return hub.for_organization(organization)


@pytest.fixture(scope="module")
def document() -> SeedDocument:
    return seed.resolve_variables(seed.create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 1, 1), {})


@pytest.fixture(scope="module")
def pipeline(document: SeedDocument, session: ControlHub) -> dict[str, Any]:
    """Return a published pipeline as the hub answers its import."""
    (row,) = session.pipelinestore.import_pipelines(
        {"1.json": orjson.dumps(export(document, "First", 1))}, "first"
    )
    return row


@pytest.fixture(scope="module")
def job(session: ControlHub, pipeline: dict[str, Any]) -> dict[str, Any]:
    """Return a job that was never started."""
    return session.jobrunner.create_job(new_job("A job", pipeline))


def export(document: SeedDocument, name: str, commit: int) -> dict[str, Any]:
    organization: Organization = document.organizations[0]
    first: Pipeline = msgspec.structs.replace(organization.pipelines[0], name=name, commits=9)
    config, rules = seed.pipeline_definition(document, organization, first, commit)
    return {"pipelineConfig": config, "pipelineRules": rules}


def new_job(name: str, pipeline: dict[str, Any]) -> dict[str, Any]:
    return jobrunner.new_job(name, pipeline, labels=["all"], instances=1, tags=["a/b"], parameters={})


def test_the_bootstrapped_administrator_is_who_he_is(session: ControlHub, organization: str) -> None:
    """After the update with passwordGenerated false, the password is the user id."""
    assert session.security.current_user()["principalId"] == f"admin@{organization}"


def test_a_wrong_password_is_an_authentication_error(hub: ControlHub) -> None:
    """Whatever status the hub chooses."""
    with pytest.raises(AuthenticationError):
        ControlHub(hub.url, "admin@admin", "wrong password")


def test_organizations_are_listed_whole(hub: ControlHub, organization: str) -> None:
    """``len=-1`` gives all rows, wrapped or not."""
    assert {"admin", organization} <= {row["id"] for row in hub.security.organizations()}


def test_events_can_be_enabled_by_id(hub: ControlHub, organization: str) -> None:
    """The one configuration id that is attested, set with id and value alone."""
    hub.security.set_configs(organization, {"dpm.enable.events": "true"})
    values = {entry["id"]: entry["value"] for entry in hub.security.configs(organization)}
    assert str(values["dpm.enable.events"]).lower() == "true"


def test_users_and_groups_know_each_other(hub: ControlHub, organization: str) -> None:
    """Groups come first, users name them."""
    security = hub.security
    security.create_group(organization, f"ops@{organization}", "Ops", ["user"], [])
    user = {"id": f"jane@{organization}", "name": "Jane", "email": "jane@example.com", "roles": ROLES}
    security.create_user(organization, {**user, "groups": [f"all@{organization}", f"ops@{organization}"]})
    found = next(row for row in security.users(organization) if row["id"] == user["id"])
    assert set(ROLES) <= set(found["roles"])
    assert f"ops@{organization}" in found["groups"]
    with pytest.raises(HubError):
        security.create_user(organization, {**user, "groups": []})


def test_an_import_publishes_version_one(pipeline: dict[str, Any], session: ControlHub) -> None:
    """The answer has ids, version and rules: all that a job needs."""
    assert pipeline["name"] == "First"
    assert pipeline["version"] == "1"
    assert pipeline["pipelineId"].endswith(f":{session.organization}")
    assert jobrunner.rules_id(pipeline)


def test_a_pipeline_is_committed_in_one_call(document: SeedDocument, session: ControlHub) -> None:
    """The direct path of 4.2: published at once, listed without definition, read back with it."""
    row = session.pipelinestore.commit_pipeline("Second", export(document, "Second", 1), "first")
    listed = {p["name"]: p for p in session.pipelinestore.pipelines()}
    assert listed["Second"]["pipelineDefinition"] is None
    (commit,) = session.pipelinestore.commits([row["commitId"]])
    assert msgspec.json.decode(commit["pipelineDefinition"])["title"] == "Second"


def test_the_next_version_keeps_the_pipeline(
    document: SeedDocument, session: ControlHub, pipeline: dict[str, Any]
) -> None:
    """An imported new version has the same pipeline id and the next number."""
    third = session.pipelinestore.import_pipelines(
        {"1.json": orjson.dumps(export(document, "Third", 1))}, "first"
    )[0]
    made = session.pipelinestore.import_new_version(third["pipelineId"], export(document, "Third", 2), "next")
    assert (made["pipelineId"], made["version"]) == (third["pipelineId"], "2")
    assert made["commitId"] != third["commitId"]


def test_a_job_has_no_status_before_its_first_start(session: ControlHub, job: dict[str, Any]) -> None:
    """currentJobStatus is null; the bulk status call knows the job."""
    listed = {row["id"]: row for row in session.jobrunner.jobs()}
    assert listed[job["id"]]["currentJobStatus"] is None
    assert listed[job["id"]]["rawJobTags"] == ["a/b"]
    assert set(session.jobrunner.statuses([job["id"]])) <= {job["id"]}


def test_many_jobs_are_created_in_one_call_or_the_call_is_absent(
    session: ControlHub, pipeline: dict[str, Any]
) -> None:
    """``createJobs`` is weakly attested (5.1); a hub without it says so with a status of its own."""
    names = [f"Bulk {i}" for i in range(3)]
    try:
        made = [row["name"] for row in session.jobrunner.create_jobs([new_job(n, pipeline) for n in names])]
    except HubError as error:
        made = names if is_absent(error) else []
    assert made == names


def test_an_owner_is_set_through_the_acl(session: ControlHub, job: dict[str, Any], organization: str) -> None:
    """POST replaces the ACL; reading gives the new owner."""
    session.jobrunner.set_owner(job["id"], f"admin@{organization}")
    assert session.jobrunner.acl(job["id"])["resourceOwner"] == f"admin@{organization}"


def test_a_scheduled_task_is_made_from_the_hubs_template(session: ControlHub, job: dict[str, Any]) -> None:
    """Selector, template, PUT; the listing holds name, cron and action."""
    template = session.scheduler.task_template(session.scheduler.type_selector(), job["id"], job["name"])
    values = {
        "name": "Nightly",
        "executionInfo.action": "START",
        "crontabMask": "0 0 3 1/1 * ? *",
        "timeZone": "UTC",
        "status": "RUNNING",
    }
    session.scheduler.create_task(scheduler.fill(template, values))
    (task,) = [t for t in session.scheduler.tasks() if scheduler.value(t["name"]) == "Nightly"]
    assert scheduler.value(task["crontabMask"]) == "0 0 3 1/1 * ? *"
    assert scheduler.action(task) == "START"
    session.scheduler.delete_task(str(scheduler.value(task["id"])))
    assert "Nightly" not in [scheduler.value(t["name"]) for t in session.scheduler.tasks()]


def test_a_subscription_keeps_event_and_action(session: ControlHub, job: dict[str, Any]) -> None:
    """The action's configuration is JSON text."""
    body = notification.new_subscription(
        "On commit", "PIPELINE_COMMITTED", job["id"], "WEBHOOK", "http://127.0.0.1:9/x", True
    )
    session.notification.create_subscription(body)
    (found,) = [s for s in session.notification.subscriptions() if s["name"] == "On commit"]
    assert found["events"][0]["eventType"] == "PIPELINE_COMMITTED"
    assert msgspec.json.decode(found["externalActions"][0]["config"])["uri"] == "http://127.0.0.1:9/x"
    session.notification.delete_subscription(found["id"])


def test_a_topology_is_published_in_two_calls(session: ControlHub, job: dict[str, Any]) -> None:
    """PUT makes a draft, publish ends it."""
    node = {
        "nodeType": "JOB",
        "instanceName": "a:JOB:1",
        "jobId": job["id"],
        "inputLanes": [],
        "outputLanes": [],
    }
    draft = session.topology.create_topology("Flow", [node])
    session.topology.publish(draft["commitId"], "first")
    (found,) = [t for t in session.topology.topologies() if t["name"] == "Flow"]
    assert not found["draft"]
    session.topology.delete_topologies([found["topologyId"]])


def test_engine_tokens_come_in_one_call(hub: ControlHub, session: ControlHub, organization: str) -> None:
    """n registrations, n different tokens; unused ones can be removed."""
    rows = session.security.create_components(organization, "dc", 3)
    assert len({row["fullAuthToken"] for row in rows}) == 3
    ids = [str(row["id"]) for row in session.security.components(organization, "dc")]
    session.security.delete_components(organization, ids)
    assert session.security.components(organization, "dc") == []


def test_engine_tokens_of_a_type_are_listed_by_that_type(session: ControlHub, organization: str) -> None:
    """A hub lists one type at a time, and Data Collectors where none is named."""
    security = session.security
    for kind in ("dc", "transformer"):
        security.create_components(organization, kind, 1)
    found = {kind: security.components(organization, kind) for kind in ("dc", "transformer")}
    assert {kind: [row["type"] for row in rows] for kind, rows in found.items()} == {
        "dc": ["dc"],
        "transformer": ["transformer"],
    }
    security.delete_components(organization, [str(row["id"]) for rows in found.values() for row in rows])


def test_the_event_texts_name_their_ids(hub: ControlHub) -> None:
    """The wire ids of subscription events are the keys of the translation file (7.2)."""
    assert "PIPELINE_COMMITTED" in notification.event_ids(hub.texts())


def test_one_organization_does_not_see_another(
    hub: ControlHub, session: ControlHub, organization: str
) -> None:
    """Listing users of the system organization is refused to an organization's administrator."""
    with pytest.raises(HubError) as caught:
        session.security.users("admin")
    assert caught.value.status in (400, 401, 403, 404)
