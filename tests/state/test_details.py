"""The difference sees all that populating sets, and what the hub lets be changed is brought back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import create_engine, text

from psrlib.client import ControlHub
from psrlib.client.apps.topology import Topologies
from psrlib.client.wire import Json
from psrlib.seed import SeedDocument, pipeline_definition
from psrlib.seed.document import Organization, Pipeline
from psrlib.state import diff, observe, populate
from psrlib.state.changes import why_left
from psrlib.state.commits import PIPELINE_ID

Connect = Callable[..., ControlHub]
Damage = Callable[[ControlHub, Organization], None]


def fields(document: SeedDocument, hub: ControlHub) -> set[tuple[str, str]]:
    return {(i.kind, i.field) for i in diff(document, observe(document, hub), runtime=False).items}


def named(rows: list[Json], name: str) -> Json:
    return next(row for row in rows if row["name"] == name)


def change_user(hub: ControlHub, o: Organization) -> None:
    row = next(row for row in hub.security.users(o.id) if row["id"] == o.users[-1].id)
    hub.security.update_user(o.id, {**row, "active": False})


def change_group(hub: ControlHub, o: Organization) -> None:
    row = next(row for row in hub.security.groups(o.id) if row["id"] == o.groups[0].id)
    hub.security.update_group(o.id, {**row, "roles": ["user", "org-user"]})


def change_connection(hub: ControlHub, o: Organization) -> None:
    app = hub.for_organization(o.id).connection
    app.update_connection({**app.connection(app.connections()[0]["id"]), "description": "Mine"})


def change_job(**values: Any) -> Damage:
    def damage(hub: ControlHub, o: Organization) -> None:
        app = hub.for_organization(o.id).jobrunner
        job = next(job for job in o.jobs if not job.parameters)
        app.update_job({**named(app.jobs(), job.name), **values})

    return damage


def change_task(hub: ControlHub, o: Organization) -> None:
    app = hub.for_organization(o.id).scheduler
    task = app.tasks()[0]
    other = o.jobs[0] if task["jobId"]["value"] != hub_job(hub, o, o.jobs[0].name) else o.jobs[1]
    changes = {"jobId": {"value": hub_job(hub, o, other.name)}, "timeZone": {"value": "Asia/Kathmandu"}}
    app.update_task({**task, **changes})


def hub_job(hub: ControlHub, o: Organization, name: str) -> str:
    return str(named(hub.for_organization(o.id).jobrunner.jobs(), name)["id"])


def change_subscription(hub: ControlHub, o: Organization) -> None:
    app = hub.for_organization(o.id).notification
    row = next(row for row in app.subscriptions() if row["externalActions"][0]["eventType"] == "WEBHOOKV1")
    (action,) = row["externalActions"]
    config = orjson.loads(action["config"]) | {"payload": '{"text": "other"}'}
    app.update_subscription({**row, "externalActions": [{**action, "config": orjson.dumps(config).decode()}]})


def change_organization(hub: ControlHub, o: Organization) -> None:
    row = next(row for row in hub.security.organizations() if row["id"] == o.id)
    hub.security.update_organization({**row, "validDomains": "example.com"})


CASES: dict[str, tuple[Damage, set[tuple[str, str]]]] = {
    "organization": (change_organization, {("organizations", "validDomains")}),
    "user": (change_user, {("users", "active")}),
    "group": (change_group, {("groups", "roles")}),
    "connection": (change_connection, {("connections", "description")}),
    "job-description": (change_job(description="Mine"), {("jobs", "description")}),
    "job-time-out": (change_job(forceStopTimeout=1), {("jobs", "forceStopTimeout")}),
    "job-null-parameters": (change_job(runtimeParameters=None), {("jobs", "parameters")}),
    "job-failover": (change_job(migrateOffsets=False), {("jobs", "migrateOffsets")}),
    "task": (change_task, {("scheduled_tasks", "job"), ("scheduled_tasks", "timeZone")}),
    "subscription": (change_subscription, {("subscriptions", "message")}),
}


@pytest.mark.parametrize(("damage", "found"), CASES.values(), ids=CASES)
def test_what_is_changed_is_seen_and_brought_back(
    rich: SeedDocument, connect: Connect, damage: Damage, found: set[tuple[str, str]]
) -> None:
    """Fields that the seed document has no word for are compared too: populating sets them."""
    with connect() as hub:
        populate(rich, hub, progress=False)
        damage(hub, rich.organizations[0])
        assert fields(rich, hub) == found
        assert not populate(rich, hub, progress=False).difference
        assert fields(rich, hub) == set()


def pipeline_with(rich: SeedDocument, n_commits: int) -> tuple[Organization, Pipeline]:
    return next((o, p) for o in rich.organizations for p in o.pipelines if p.commits >= n_commits)


def store_text(database: Path, pipeline_id: str, number: int, definition: Json) -> None:
    """Write a definition into the hub's table: no call changes a published commit."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        done = connection.execute(
            text("UPDATE commits SET definition = :text WHERE pipeline_id = :id AND number = :number"),
            {"text": orjson.dumps(definition).decode(), "id": pipeline_id, "number": number},
        )
        assert done.rowcount == 1
    engine.dispose()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_commit_that_holds_its_neighbours_text_is_seen(
    rich: SeedDocument, connect: Connect, tmp_path: Path, number: int
) -> None:
    """Later commits are published anew, and jobs follow; the first one cannot be, and why is said."""
    organization, pipeline = pipeline_with(rich, 3)
    with connect() as hub:
        populate(rich, hub, progress=False)
        session = hub.for_organization(organization.id)
        id = named(session.pipelinestore.pipelines(), pipeline.name)["pipelineId"]
        other = number - 1 or 2
        config, _ = pipeline_definition(rich, organization, pipeline, other)
        config["metadata"][PIPELINE_ID] = id
        store_text(tmp_path / "hub.db", id, number, config)
    with connect() as hub:
        assert ("pipelines", f"commit {number}") in fields(rich, hub)
        report = populate(rich, hub, progress=False)
        if number > 1:
            assert not report.difference, report.left_frame().to_string()
            assert fields(rich, hub) == set()
        else:
            assert {item.kind for item in report.difference.items} == {"pipelines"}
            assert "cannot be changed" in why_left(report.difference.items[0])


def test_a_topology_of_strange_ids_is_made_anew(rich: SeedDocument, connect: Connect, tmp_path: Path) -> None:
    """Ids of jobs that do not exist, which a published topology keeps for ever, are no jobs."""
    organization = next(o for o in rich.organizations if o.topologies)
    with connect() as hub:
        populate(rich, hub, progress=False)
        app = hub.for_organization(organization.id).topology
        row = named(app.topologies(), organization.topologies[0].name)
        nodes = orjson.loads(app.topology(row["commitId"])["topologyDefinition"])["topologyNodes"]
        app.delete_topologies([row["topologyId"]])
        made = app.create_topology(row["name"], [{**node, "jobId": "none:here"} for node in nodes])
        app.publish(made["commitId"], "Commit 1")
        assert ("topologies", "jobs") in fields(rich, hub)
        report = populate(rich, hub, progress=False)
        assert (report.created, dict(report.difference.counts())) == ({"topologies": 1}, {})
        assert fields(rich, hub) == set()


def test_a_topology_published_meanwhile_is_published(
    rich: SeedDocument, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that was given up on may arrive between the look and the next one, which is refused then."""
    plain = Topologies.publish

    def twice(self: Topologies, commit_id: str, message: str) -> None:
        plain(self, commit_id, message)
        plain(self, commit_id, message)

    monkeypatch.setattr(Topologies, "publish", twice)
    with connect() as hub:
        assert not populate(rich, hub, progress=False).difference
        assert fields(rich, hub) == set()
