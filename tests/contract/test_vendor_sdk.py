"""The vendor's own Python SDKs against the embedded hub: clients nobody here wrote.

The 4.x+ line (``streamsets``, 6.6 or later) authenticates with API credentials and is pointed at the hub
by its ``aster_url`` or ``landing_url`` argument. The 3.x line logs in with user and password; it needs an
environment of its own, in which test_vendor_sdk3.py runs this same file.
"""

import io
import json
import zipfile
from importlib.metadata import version
from typing import Any

import pytest
from streamsets.sdk import ControlHub
from support.waiting import wait_for

LEGACY = version("streamsets").startswith("3.")
platform_only = pytest.mark.skipif(LEGACY, reason="not in the 3.x line")
legacy_only = pytest.mark.skipif(not LEGACY, reason="not in the 4.x+ line")


@pytest.fixture(scope="module")
def sch(acme: Any) -> Any:
    """The SDK's own connection as the organization's administrator."""
    if LEGACY:
        return ControlHub(acme.url, username="admin@acme", password="admin@acme")
    path = "/security/rest/v1/organization/acme/api-user-credentials"
    made = acme.call("POST", path, {"label": "sdk", "generateAuthToken": True, "active": True}).json()
    return ControlHub(
        credential_id=made["componentId"],
        token=made["authToken"],
        aster_url=acme.url,
        use_websocket_tunneling=False,
    )


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


def test_the_sdk_connects(sch: Any) -> None:
    """Organization and version come from the hub; all its start documents are read."""
    assert sch.organization == "acme"
    assert sch.version.startswith("3.")


@platform_only
def test_the_system_administrator_connects_by_landing_url(acme: Any) -> None:
    """A credential of organization admin skips the look-up and sees all organizations."""
    system = type(acme)(acme.url, "admin@admin")
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


@legacy_only
def test_the_system_administrator_connects_with_a_password(acme: Any) -> None:
    """The built-in administrator sees all organizations."""
    hub = ControlHub(acme.url, username="admin@admin", password="admin@admin")
    assert {organization.id for organization in hub.organizations} == {"admin", "acme"}


@platform_only
def test_the_sdk_invites_and_lists_users(sch: Any) -> None:
    """An invited user is listed with the roles the builder chose."""
    user = sch.get_user_builder().build(email_address="jane@example.com")
    sch.invite_user(user)
    found = sch.users.get(email_address="jane@example.com")
    assert found.id == "jane@acme"
    assert "Job Operator" in found.organization_roles
    assert "admin@acme" in [u.id for u in sch.users]


@legacy_only
def test_the_sdk_creates_and_lists_users(sch: Any) -> None:
    """A user of the builder is listed with the roles that were set."""
    builder = sch.get_user_builder()
    user = builder.build(id="jane@acme", display_name="Jane", email_address="jane@example.com")
    user.roles = ["Job Operator", "Organization User"]
    sch.add_user(user)
    found = sch.users.get(id="jane@acme")
    assert "Job Operator" in list(found.roles)
    assert "admin@acme" in [u.id for u in sch.users]


def test_the_sdk_creates_and_lists_groups(sch: Any) -> None:
    """A group made by the builder is there beside all@acme."""
    own = {"id": "operations@acme"} if LEGACY else {}
    sch.add_group(sch.get_group_builder().build(display_name="Operations", **own))
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
    found = sch.jobs.get(job_name="Template", **({} if LEGACY else {"job_template": True}))
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
    if LEGACY:
        found.pause()
    else:
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


def test_the_sdk_watches_a_job_with_a_data_sla(sch: Any, pipeline: Any) -> None:
    """A running job below the minimum has an alert, which ends with the run."""
    job = sch.get_job_builder().build("Watched", pipeline=pipeline)
    job.data_collector_labels = ["all"]
    sch.add_job(job)
    job = sch.jobs.get(job_name="Watched")
    builder = sch.get_topology_builder()
    sch.publish_topology(builder.build(topology_name="Watch"), commit_message="first")
    topology = next(iter(sch.topologies))  # after activating, the SDK looks in the first one, whichever it is
    sla = (
        (sch if LEGACY else topology)
        .get_data_sla_builder()
        .build(topology, "Slow", job, "too slow", function_type="Min", min_max_value="1000000000")
    )
    topology.add_data_sla(sla)
    topology.activate_data_sla(topology.data_slas.get(label="Slow"))
    assert topology.data_slas.get(label="Slow").status == "ACTIVE"
    sch.start_job(job)
    wait_for(lambda: "too slow" in [alert.message for alert in sch.alerts])
    sch.stop_job(job)
    wait_for(lambda: {a.alert_status for a in sch.alerts if a.message == "too slow"} == {"ACKNOWLEDGED"})


def test_the_sdk_imports_a_job_that_is_here_already(sch: Any, pipeline: Any) -> None:
    """The archive brings the number of instances back; no second job appears."""
    job = sch.get_job_builder().build("Exported", pipeline=pipeline)
    sch.add_job(job)
    found = sch.jobs.get(job_name="Exported")
    archive = sch.export_jobs([found])
    found.number_of_instances = 7
    sch.update_job(found)
    imported = sch.import_jobs(archive=io.BytesIO(archive), number_of_instances=True)
    key = "job_id" if LEGACY else "id"
    assert [(getattr(j, key), j.number_of_instances) for j in imported] == [(getattr(found, key), 1)]
    assert len([one for one in sch.jobs if one.job_name == "Exported"]) == 1


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
