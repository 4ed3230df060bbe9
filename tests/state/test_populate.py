"""Populate on a real embedded hub: everything arrives, repeating changes nothing, guards hold."""

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import orjson
import pytest

from psrlib import paths, seed
from psrlib.client import ControlHub, Request
from psrlib.errors import HubError, InputError, ProcessError
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument
from psrlib.state import diff, observe, plan, populate, setup_engines, teardown
from psrlib.state.lock import populate_lock
from psrlib.words import KINDS

Connect = Callable[..., ControlHub]


def n_entities(document: SeedDocument) -> dict[str, int]:
    counts = {kind: sum(len(getattr(o, kind)) for o in document.organizations) for kind in KINDS}
    return {"organizations": len(document.organizations), **counts}


def test_every_kind_of_entity_arrives(rich: SeedDocument, connect: Connect) -> None:
    """After a populate the static difference is empty, and the report counts what was created."""
    with connect() as hub:
        report = populate(rich, hub, progress=False)
        expected = {kind: n for kind, n in n_entities(rich).items() if n and kind != "engines"}
        assert all(expected.values())
        assert report.created == expected
        difference = diff(rich, observe(rich, hub), runtime=False)
        assert not difference, difference.frame().to_string()


def test_pipelines_name_their_connections_by_the_hubs_ids(rich: SeedDocument, connect: Connect) -> None:
    """Row 1 of the observations: the hub's id as a text, the empty text where there is no connection."""
    with connect() as hub:
        populate(rich, hub, progress=False)
        n_connected = 0
        for organization in rich.organizations:
            session = hub.for_organization(organization.id)
            ids = {row["name"]: row["id"] for row in session.connection.connections()}
            names = {connection.key: connection.name for connection in organization.connections}
            rows = {row["name"]: row["commitId"] for row in session.pipelinestore.pipelines()}
            commits = {c["name"]: c for c in session.pipelinestore.commits(list(rows.values()))}
            for pipeline in organization.pipelines:
                metadata = orjson.loads(commits[pipeline.name]["pipelineDefinition"])["metadata"]
                wanted = ids[names[pipeline.connection]] if pipeline.connection else ""
                assert metadata["dpm.pipeline.connections"] == wanted
                n_connected += bool(wanted)
        assert n_connected


def test_definitions_are_as_large_as_drawn(rich: SeedDocument, connect: Connect) -> None:
    """A hub's own entries come on top; a definition that is too small is a difference."""
    organization = next(o for o in rich.organizations if o.pipelines)

    def with_size(n_bytes: int) -> SeedDocument:
        first = msgspec.structs.replace(organization.pipelines[0], definition_bytes=n_bytes)
        changed = msgspec.structs.replace(organization, pipelines=[first, *organization.pipelines[1:]])
        return msgspec.structs.replace(rich, organizations=[changed])

    with connect() as hub:
        populate(with_size(50_000), hub, progress=False)
        session = hub.for_organization(organization.id)
        ids = [row["commitId"] for row in session.pipelinestore.pipelines()]
        sizes = [len(commit["pipelineDefinition"]) for commit in session.pipelinestore.commits(ids)]
        assert 50_000 <= max(sizes) < 52_000
        difference = diff(with_size(60_000), observe(with_size(60_000), hub), runtime=False)
        assert "definition_bytes" in difference.frame().to_string()


def test_a_second_populate_changes_nothing(rich: SeedDocument, connect: Connect) -> None:
    """It only reads: no PUT, nothing created, nothing changed."""
    with connect() as hub:
        populate(rich, hub, progress=False)
        again = populate(rich, hub, progress=False)
        assert (again.created, again.changed) == ({}, {})
        assert not again.difference


def test_the_sample_model_arrives_with_few_calls(sample: SeedDocument, connect: Connect) -> None:
    """One archive per acting owner, one creation call for jobs: far fewer calls than entities."""
    with connect() as hub:
        report = populate(sample, hub, progress=False)
        assert not diff(sample, observe(sample, hub), runtime=False)
    n_pipelines = sum(len(o.pipelines) for o in sample.organizations)
    n_commits = sum(p.commits for o in sample.organizations for p in o.pipelines)
    assert report.calls["pipelines"] < n_pipelines < n_commits
    assert report.calls["jobs"] < sum(len(o.jobs) for o in sample.organizations) / 2


def test_a_plan_touches_nothing_and_guesses_the_calls(sample: SeedDocument, connect: Connect) -> None:
    """The estimate is within a third of what populating then takes."""
    with connect() as hub:
        planned = plan(sample, hub)
        assert [row["id"] for row in hub.security.organizations()] == ["admin"]
        report = populate(sample, hub, progress=False)
        assert planned.n_calls == pytest.approx(report.n_calls, rel=0.34)
        assert planned.stored_bytes > planned.upload_bytes > 0
        tight = msgspec.structs.replace(sample, variables={**sample.variables, "engine_max_pipelines": "1"})
        assert (planned.shortages, bool(plan(tight, hub).shortages)) == ((), True)
        done = plan(sample, hub)
        assert not done.difference
        assert done.n_calls == 0


def test_what_was_changed_on_the_hub_is_brought_back(rich: SeedDocument, connect: Connect) -> None:
    """Fields that a hub can change in place are repaired; the next populate finds nothing."""
    organization = rich.organizations[0]
    with connect() as hub:
        populate(rich, hub, progress=False)
        session = hub.for_organization(organization.id)
        job = next(row for row in session.jobrunner.jobs() if row["name"] == organization.jobs[0].name)
        session.jobrunner.update_job({**job, "numInstances": 9, "labels": ["west"]})
        user = next(
            row for row in hub.security.users(organization.id) if row["id"] == organization.users[-1].id
        )
        hub.security.update_user(organization.id, {**user, "name": "Somebody Else"})
        subscription = session.notification.subscriptions()[0]
        session.notification.update_subscription({**subscription, "enabled": not subscription["enabled"]})
        session.jobrunner.set_owner(job["id"], organization.users[-1].id)
        assert len(diff(rich, observe(rich, hub), runtime=False)) >= 4
        report = populate(rich, hub, progress=False)
        assert report.created == {}
        assert report.changed["jobs"] == 1
        assert not diff(rich, observe(rich, hub), runtime=False)


def test_what_was_deleted_on_the_hub_is_made_again(rich: SeedDocument, connect: Connect) -> None:
    """Only what is missing is created."""
    organization = rich.organizations[1]
    with connect() as hub:
        populate(rich, hub, progress=False)
        session = hub.for_organization(organization.id)
        for row in session.notification.subscriptions():
            session.notification.delete_subscription(row["id"])
        task = session.scheduler.tasks()[0]
        session.scheduler.delete_task(task["id"]["value"] if isinstance(task["id"], dict) else task["id"])
        report = populate(rich, hub, progress=False)
        assert report.created == {"subscriptions": len(organization.subscriptions), "scheduled_tasks": 1}
        assert not diff(rich, observe(rich, hub), runtime=False)


def test_duplicates_are_removed_and_strangers_left_alone(rich: SeedDocument, connect: Connect) -> None:
    """A second entity of the same name is the trace of a lost answer; another name is somebody's work."""
    organization = rich.organizations[0]
    with connect() as hub:
        populate(rich, hub, progress=False)
        session = hub.for_organization(organization.id)
        job = next(row for row in session.jobrunner.jobs() if row["name"] == organization.jobs[0].name)
        copy = {key: value for key, value in job.items() if key not in ("id", "currentJobStatus")}
        session.jobrunner.create_jobs([copy, {**copy, "name": "Somebody's own job"}])
        report = populate(rich, hub, progress=False)
        (left,) = report.difference.items
        assert (left.kind, left.name, left.change) == ("jobs", "Somebody's own job", "extra")
        names = [row["name"] for row in session.jobrunner.jobs()]
        assert names.count(organization.jobs[0].name) == 1


def test_of_two_jobs_the_one_in_use_is_kept(rich: SeedDocument, connect: Connect) -> None:
    """Whatever order the hub lists them in, the copy that no task or subscription refers to goes."""
    organization = rich.organizations[0]
    with connect() as hub:
        populate(rich, hub, progress=False)
        session = hub.for_organization(organization.id)
        used = {subscription.job for subscription in organization.subscriptions}
        names = {job.name for job in organization.jobs if job.key in used}
        jobs = [row for row in session.jobrunner.jobs() if row["name"] in names]
        hidden = ("id", "currentJobStatus")
        session.jobrunner.create_jobs([{k: v for k, v in j.items() if k not in hidden} for j in jobs])
        populate(rich, hub, progress=False)
        assert {job["id"] for job in jobs} <= {row["id"] for row in session.jobrunner.jobs()}
        assert not diff(rich, observe(rich, hub), runtime=False)


def test_a_version_too_many_is_removed(rich: SeedDocument, connect: Connect) -> None:
    """It is what an import that was carried out late leaves; jobs keep the version they were made with."""
    organization = rich.organizations[0]
    pipeline = organization.pipelines[0]
    with connect() as hub:
        populate(rich, hub, progress=False)
        store = hub.for_organization(organization.id).pipelinestore
        row = next(row for row in store.pipelines() if row["name"] == pipeline.name)
        config, rules = seed.pipeline_definition(rich, organization, pipeline, pipeline.commits)
        store.import_new_version(
            row["pipelineId"], {"pipelineConfig": config, "pipelineRules": rules}, "late"
        )
        assert diff(rich, observe(rich, hub), runtime=False).counts() == {"pipelines": {"different": 1}}
        populate(rich, hub, progress=False)
        assert not diff(rich, observe(rich, hub), runtime=False)


def test_foreign_organizations_are_refused_unless_allowed(rich: SeedDocument, connect: Connect) -> None:
    """A hub somebody uses is not filled by accident."""
    one = msgspec.structs.replace(rich, organizations=rich.organizations[:1])
    two = msgspec.structs.replace(rich, organizations=rich.organizations[1:2])
    with connect() as hub:
        populate(one, hub, progress=False)
        with pytest.raises(InputError, match=one.organizations[0].id):
            populate(two, hub, progress=False)
        assert len(hub.security.organizations()) == 2
        assert populate(two, hub, progress=False, allow_foreign=True).created["organizations"] == 1


def test_a_hub_populated_from_another_seed_is_refused(rich: SeedDocument, connect: Connect) -> None:
    """Organizations are numbered alike in every document: same ids do not mean the same contents."""
    drawn = seed.create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 5, len(rich.organizations))
    other = seed.resolve_variables(drawn)
    assert [o.id for o in other.organizations] == [o.id for o in rich.organizations]
    with connect() as hub:
        populate(other, hub, progress=False)
        before = hub.calls.by_kind()
        with pytest.raises(InputError, match="populated from another seed document"):
            populate(rich, hub, progress=False, allow_foreign=True)
        assert set(hub.calls.since(before)) <= {"organizations", "pipelines", "jobs", "sessions"}
        assert not diff(other, observe(other, hub), runtime=False)


def test_a_second_populate_at_the_same_time_is_refused(rich: SeedDocument, connect: Connect) -> None:
    """The lock of the hub is held as long as the first one works."""
    with connect() as hub, populate_lock(hub), pytest.raises(ProcessError, match="another psr populate"):
        populate(rich, hub, progress=False)


def test_two_populates_from_two_machines_do_no_harm(
    rich: SeedDocument, connect: Connect, tmp_path: Path
) -> None:
    """Without the common lock, one of them stops at an organization of the other; repeating repairs."""
    with connect() as first, connect() as second:
        failures: list[Exception] = []

        def run(hub: ControlHub, folder: Path) -> None:
            try:
                populate(rich, hub, progress=False, lock_folder=folder)
            except HubError as error:
                failures.append(error)

        threads = [
            threading.Thread(target=run, args=(hub, tmp_path / name))
            for hub, name in ((first, "a"), (second, "b"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        populate(rich, first, progress=False)
        difference = diff(rich, observe(rich, first), runtime=False)
        assert not difference, difference.frame().to_string()


def test_engine_tokens_are_asked_for_once(rich: SeedDocument, connect: Connect, tmp_path: Path) -> None:
    """Two listings per organization and one call per engine type; a second setup uses the saved tokens."""
    with connect() as hub:
        populate(rich, hub, progress=False)
        before = hub.calls.by_kind().get("engine tokens", 0)
        first = setup_engines(rich, hub, tmp_path)
        assert len(first) == sum(len(o.engines) for o in rich.organizations)
        assert len({identity.token for identity in first}) == len(first)
        asked = hub.calls.by_kind()["engine tokens"] - before
        types = sum(len({e.type for e in o.engines}) for o in rich.organizations)
        assert asked == types + 2 * len(rich.organizations)
        assert setup_engines(rich, hub, tmp_path) == first


def test_tokens_of_another_hub_are_replaced(
    rich: SeedDocument, connect: Connect, other_hub_url: str, tmp_path: Path
) -> None:
    """A run directory whose hub database was thrown away gets new tokens."""
    with connect() as hub:
        populate(rich, hub, progress=False)
        old = setup_engines(rich, hub, tmp_path)
    with connect(other_hub_url) as hub:
        populate(rich, hub, progress=False)
        new = setup_engines(rich, hub, tmp_path)
    assert {identity.id for identity in new} == {identity.id for identity in old}
    assert not {identity.token for identity in new} & {identity.token for identity in old}


def test_teardown_removes_what_the_seed_made_and_nothing_else(rich: SeedDocument, connect: Connect) -> None:
    """A stranger's job keeps its organization active; the others are emptied and deactivated."""
    stranger = rich.organizations[0]
    with connect() as hub:
        populate(rich, hub, progress=False)
        session = hub.for_organization(stranger.id)
        pipeline = session.pipelinestore.import_pipelines(
            {"1.json": b'{"pipelineConfig": {"title": "Own", "stages": []}}'}, "by hand"
        )
        assert len(pipeline) == 1
        report = teardown(rich, hub)
        assert report.kept == {stranger.id: {"pipelines": 1}}
        assert report.deactivated == [o.id for o in rich.organizations[1:]]
        assert [row["name"] for row in session.pipelinestore.pipelines()] == ["Own"]
        assert session.jobrunner.jobs() == []
        assert {row["id"] for row in hub.security.users(stranger.id)} == {stranger.users[0].id}
        active = {row["id"]: row["active"] for row in hub.security.organizations()}
        assert active == {"admin": True, stranger.id: True, **dict.fromkeys(report.deactivated, False)}


def test_production_size_makes_commits_as_large_as_real_ones(rich: SeedDocument, connect: Connect) -> None:
    """Each stored commit carries 540 to 576 kB of library definitions."""
    one = msgspec.structs.replace(rich, organizations=rich.organizations[:1])
    with connect() as hub:
        populate(one, hub, progress=False, definition_size="production")
        session = hub.for_organization(one.organizations[0].id)
        ids = [session.pipelinestore.pipelines()[0]["commitId"]]
        (commit,) = session.answer(Request("POST", "/pipelinestore/rest/v1/pipelineCommit", "", {}, ids)).body
        assert 540_000 <= len(commit["libraryDefinitions"]) <= 576_000
        assert not diff(one, observe(one, hub), runtime=False)
