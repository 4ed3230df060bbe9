"""The vendor's own Python SDK against the embedded hub: a client nobody here wrote.

The 4.x+ line (``streamsets``, 6.6 or later) authenticates with API credentials and is pointed at the hub
by its ``aster_url`` or ``landing_url`` argument.
"""

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from streamsets.sdk import ControlHub

from psrlib.engines import EngineIdentity, save_identities, start_fleet
from psrlib.hub.process import start_hub
from psrlib.seed.identity import engine_id

TIMEOUT_S = 60.0


class Rest:
    """A logged-in session with nothing but requests."""

    def __init__(self, url: str, user: str) -> None:
        self.url, self.session = url, requests.Session()
        self.session.headers["X-Requested-By"] = "test"
        body = {"userName": user, "password": user}
        answer = self.call("POST", "/security/public-rest/v1/authentication/login", body)
        self.session.headers["X-SS-User-Auth-Token"] = answer.headers["X-SS-User-Auth-Token"]

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        answer = self.session.request(method, self.url + path, json=body, timeout=30)
        answer.raise_for_status()
        return answer


def organization(rest: Rest, org: str) -> Rest:
    body = {
        "organization": {"id": org, "name": org, "primaryAdminId": f"admin@{org}"},
        "organizationAdminUser": {
            "id": f"admin@{org}",
            "name": "Administrator",
            "email": f"admin@{org}.example",
            "organization": org,
            "roles": ["user", "org-admin"],
        },
    }
    rest.call("PUT", "/security/rest/v1/organizations", body)
    return Rest(rest.url, f"admin@{org}")


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rest, Path]]:
    """Organization acme on a hub of its own process, with two mock engines polling it."""
    run_dir = tmp_path_factory.mktemp("sdk")
    with start_hub(run_dir) as hub:
        rest = organization(Rest(hub.url, "admin@admin"), "acme")
        path = "/security/rest/v1/organization/acme/components"
        body = {"organization": "acme", "componentType": "dc", "numberOfComponents": 2, "active": True}
        tokens = [row["fullAuthToken"] for row in rest.call("PUT", path, body).json()]
        identities = [
            EngineIdentity(
                organization="acme",
                key=f"engine-{n}",
                id=engine_id(1, "acme", f"engine-{n}"),
                url=f"http://127.0.0.1:{18630 + n}",
                type="COLLECTOR",
                labels=["all"],
                token=token,
            )
            for n, token in enumerate(tokens)
        ]
        save_identities(run_dir, identities)
        with start_fleet(run_dir, hub.url, poll_interval_s=0.5):
            yield rest, run_dir


@pytest.fixture(scope="module")
def sch(acme: tuple[Rest, Path]) -> Any:
    """The SDK's own connection, by credentials of the organization's administrator."""
    rest, _ = acme
    path = "/security/rest/v1/organization/acme/api-user-credentials"
    made = rest.call("POST", path, {"label": "sdk", "generateAuthToken": True, "active": True}).json()
    return ControlHub(
        credential_id=made["componentId"],
        token=made["authToken"],
        aster_url=rest.url,
        use_websocket_tunneling=False,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.2)


def export(title: str) -> str:
    config = {
        "schemaVersion": 6,
        "version": 19,
        "title": title,
        "pipelineId": title,
        "uuid": "1",
        "configuration": [
            {"name": "executionMode", "value": "STANDALONE"},
            {"name": "constants", "value": [{"key": "TABLE", "value": "t"}]},
        ],
        "stages": [],
        "info": {"sdcVersion": "3.22.0"},
        "metadata": {"labels": ["prod"]},
    }
    rules = {"schemaVersion": 3, "version": 2, "uuid": "1"}
    return json.dumps({"pipelineConfig": config, "pipelineRules": rules, "libraryDefinitions": None})


@pytest.fixture(scope="module")
def pipeline(sch: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A pipeline imported by the SDK."""
    archive = tmp_path_factory.mktemp("zip") / "pipelines.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("orders.json", export("Orders"))
        target.writestr("claims.json", export("Claims"))
    with archive.open("rb") as stream:
        sch.import_pipelines_from_archive(archive=stream, commit_message="imported")
    return sch.pipelines.get(name="Orders")


def test_the_sdk_connects_with_an_api_credential(sch: Any) -> None:
    """Organization and version come from the hub; all its start documents are read."""
    assert sch.organization == "acme"
    assert sch.version.startswith("3.")


def test_the_system_administrator_connects_by_landing_url(acme: tuple[Rest, Path]) -> None:
    """A credential of organization admin skips the look-up and sees all organizations."""
    system = Rest(acme[0].url, "admin@admin")
    path = "/security/rest/v1/organization/admin/api-user-credentials"
    made = system.call("POST", path, {"label": "system", "generateAuthToken": True}).json()
    landing = system.url + "/security/public-rest/v1/aster/landing"
    hub = ControlHub(
        credential_id=made["componentId"],
        token=made["authToken"],
        landing_url=landing,
        use_websocket_tunneling=False,
    )
    assert {organization.id for organization in hub.organizations} == {"admin", "acme"}


def test_the_sdk_creates_and_lists_users(sch: Any) -> None:
    """An invited user is listed with the roles the builder chose."""
    user = sch.get_user_builder().build(email_address="jane@example.com")
    sch.invite_user(user)
    found = sch.users.get(email_address="jane@example.com")
    assert found.id == "jane@acme"
    assert "Job Operator" in found.organization_roles
    assert "admin@acme" in [u.id for u in sch.users]


def test_the_sdk_creates_and_lists_groups(sch: Any) -> None:
    """A group made by the builder is there beside all@acme."""
    sch.add_group(sch.get_group_builder().build(display_name="Operations"))
    assert {group.display_name for group in sch.groups} == {"all", "Operations"}


def test_the_sdk_imports_and_lists_pipelines(sch: Any, pipeline: Any) -> None:
    """Both pipelines of the zip are published; the definition is read on demand."""
    assert {p.name for p in sch.pipelines} == {"Orders", "Claims"}
    assert (pipeline.version, pipeline.draft) == ("1", False)
    assert json.loads(pipeline.pipeline_definition)["title"] == "Orders"


def test_the_sdk_lists_engines(sch: Any) -> None:
    """The mock engines are there and respond."""
    wait_for(lambda: len(sch.data_collectors) == 2)
    engines = sch.data_collectors
    assert all(engine.responding for engine in engines)
    assert {label for engine in engines for label in engine.reported_labels} == {"all"}


def test_the_sdk_creates_starts_and_stops_a_job(sch: Any, pipeline: Any) -> None:
    """start_job and stop_job wait with the SDK's own conditions until the job is ACTIVE and INACTIVE."""
    job = sch.get_job_builder().build("Orders job", pipeline=pipeline)
    job.data_collector_labels = ["all"]
    sch.add_job(job)
    wait_for(lambda: len(sch.data_collectors) == 2)
    found = sch.jobs.get(job_name="Orders job")
    sch.start_job(found)
    found.refresh()
    assert found.status.status == "ACTIVE"
    assert found.status.run_count == 1
    sch.stop_job(found)
    found.refresh()
    assert found.status.status == "INACTIVE"
    assert len(found.history) == 1


def test_the_sdk_starts_a_job_template(sch: Any, pipeline: Any) -> None:
    """Two instances with their own parameters are created and started in one call."""
    builder = sch.get_job_builder()
    template = builder.build(
        "Template", pipeline=pipeline, job_template=True, runtime_parameters={"TABLE": "t"}
    )
    template.data_collector_labels = ["all"]
    sch.add_job(template)
    found = sch.jobs.get(job_name="Template", job_template=True)
    instances = sch.start_job_template(
        found,
        instance_name_suffix="PARAM_VALUE",
        parameter_name="TABLE",
        runtime_parameters=[{"TABLE": "a"}, {"TABLE": "b"}],
    )
    assert {job.job_name for job in instances} == {"Template - a", "Template - b"}
    sch.stop_job(*instances)


def test_the_sdk_creates_a_scheduled_task(sch: Any, pipeline: Any) -> None:
    """The builder's three steps make a task that is listed and can be paused."""
    job = sch.get_job_builder().build("Scheduled job", pipeline=pipeline)
    sch.add_job(job)
    builder = sch.get_scheduled_task_builder()
    task = builder.build(
        task_object=sch.jobs.get(job_name="Scheduled job"),
        action="START",
        name="Nightly",
        cron_expression="0 0 3 ? * *",
        time_zone="UTC",
    )
    sch.add_scheduled_task(task)
    found = sch.scheduled_tasks.get(name="Nightly")
    assert found.status == "RUNNING"
    sch.pause_scheduled_tasks(found)
    assert sch.scheduled_tasks.get(name="Nightly").status == "PAUSED"


def test_the_sdk_creates_a_subscription(sch: Any) -> None:
    """Event and action types are found in the translations."""
    builder = sch.get_subscription_builder()
    builder.add_event(event_type="Job Status Change", filter="")
    builder.set_email_action(recipients=["ops@example.com"], subject="job", body="changed")
    sch.add_subscription(builder.build(name="On change"))
    found = sch.subscriptions.get(name="On change")
    assert [event.event_type for event in found.events] == ["Job Status Change"]


def test_the_sdk_publishes_a_topology(sch: Any) -> None:
    """A topology of the builder is drafted, published and listed."""
    builder = sch.get_topology_builder()
    sch.publish_topology(builder.build(topology_name="Overview"), commit_message="first")
    found = sch.topologies.get(topology_name="Overview")
    assert (found.version, found.draft) == ("1", False)


def test_the_sdk_reads_and_changes_an_acl(sch: Any, pipeline: Any) -> None:
    """A permission for a group is added and read again."""
    acl = pipeline.acl
    assert acl.resource_owner == "admin@acme"
    permission = acl.permission_builder.build(subject_id="all@acme", subject_type="GROUP", actions=["READ"])
    acl.add_permission(permission)
    assert {p.subject_id for p in pipeline.acl.permissions} == {"admin@acme", "all@acme"}


def test_the_sdk_deletes_what_it_made(sch: Any, pipeline: Any) -> None:
    """Deleting a job and then its pipeline works through the SDK's calls."""
    claims = sch.pipelines.get(name="Claims")
    job = sch.get_job_builder().build("Short", pipeline=claims)
    sch.add_job(job)
    sch.delete_job(sch.jobs.get(job_name="Short"))
    sch.delete_pipeline(claims)
    assert "Claims" not in [p.name for p in sch.pipelines]
