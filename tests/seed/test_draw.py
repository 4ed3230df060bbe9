"""Drawn content: counts are kept, references lead somewhere, tasks never contradict a job's status."""

from collections import Counter

import numpy as np

from psrlib import paths
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed
from psrlib.seed.chunk import Chunk
from psrlib.seed.columns import Drawer
from psrlib.seed.designs import draw_words, parameters
from psrlib.seed.roles import may_create
from psrlib.seed.vocabulary import ENGINE_LABELS, LABELS, PARAMETERS, ROLES
from psrlib.verify.counts import count_entities


def test_counts_are_the_drawn_ones(rich_model: NoiseModel, rich_seed: SeedDocument) -> None:
    """Every organization has as many of each kind as the model drew for it."""
    draws = Drawer(rich_model, 19071990).organizations(range(60))
    for number, organization in enumerate(rich_seed.organizations):
        got = count_entities(organization)
        assert got == {metric: int(draws.counts[metric][number]) for metric in got}
        assert organization.archetype == draws.archetype_names[draws.archetype[number]]


def test_every_kind_occurs(rich_seed: SeedDocument) -> None:
    """The document that the other tests look at has some of everything."""
    for kind in ("groups", "connections", "fragments", "topologies", "subscriptions", "scheduled_tasks"):
        assert sum(len(getattr(organization, kind)) for organization in rich_seed.organizations) > 5
    jobs = [job for organization in rich_seed.organizations for job in organization.jobs]
    assert any(job.is_template for job in jobs)
    assert any(job.template for job in jobs)
    pipelines = [p for organization in rich_seed.organizations for p in organization.pipelines]
    assert any(p.fragment for p in pipelines)
    assert any(p.connection for p in pipelines)
    assert any(p.event_lane for p in pipelines)


def test_jobs_ask_for_labels_that_all_engines_of_their_organization_have() -> None:
    """So each may run on any of them: no label is specific."""
    n_labels = Counter()
    for organization in create_seed(NoiseModel.load(paths.MODEL), 19071990, 60).organizations:
        assert len({tuple(engine.labels) for engine in organization.engines}) <= 1
        for job in organization.jobs:
            n_labels[len(job.labels)] += 1
            assert all(set(job.labels) <= set(engine.labels) for engine in organization.engines)
            assert job.labels == ENGINE_LABELS[: len(job.labels)]
    assert n_labels[1] > n_labels[2] > 0


def test_users_have_as_many_roles_and_groups_as_the_model_draws() -> None:
    """In no more groups than there are; who owns something has the roles that this takes."""
    model = NoiseModel.load(paths.MODEL)
    drawer = Drawer(model, 19071990)
    drawn = Chunk(drawer, range(40)).inside["users"]
    users = [
        (organization, user)
        for organization in create_seed(model, 19071990, 40).organizations
        for user in organization.users
    ]
    n_roles = set()
    for place, (organization, user) in enumerate(users):
        if user is organization.users[0]:
            continue
        assert len(user.groups) == drawn["groups"][place] <= len(organization.groups)
        owns = any(user.key == entity.owner for entity in (*organization.pipelines, *organization.jobs))
        assert may_create(user.roles) if owns else user.roles[:2] == ROLES[:2]
        assert len(user.roles) >= min(drawn["roles"][place], len(ROLES))
        n_roles.add(len(user.roles))
    assert len(n_roles) > 4


def test_tasks_agree_with_the_status_of_their_job(rich_seed: SeedDocument) -> None:
    """START tasks have jobs that should be ACTIVE, STOP tasks jobs that should not."""
    actions = Counter()
    for organization in rich_seed.organizations:
        status = {job.key: job.status for job in organization.jobs}
        for task in organization.scheduled_tasks:
            wanted = {"START": {"ACTIVE"}, "STOP": {"INACTIVE"}}.get(task.action, {"ACTIVE", "INACTIVE"})
            assert status[task.job] in wanted
            actions[task.action] += 1
    assert actions["START"] > actions["STOP"] > 0


def test_the_first_user_is_the_administrator(rich_seed: SeedDocument) -> None:
    """It has the organization's administrator role, and counts as a user."""
    for organization in rich_seed.organizations:
        assert organization.users[0].id == f"admin@{organization.id}"
        assert {"user", "org-admin"} <= set(organization.users[0].roles)
        assert all("org-admin" not in user.roles for user in organization.users[1:])


def test_ownership_is_concentrated(rich_seed: SeedDocument) -> None:
    """In organizations with many users the busiest tenth of them owns far more than a tenth of the jobs."""
    owned, total = 0, 0
    for organization in rich_seed.organizations:
        n_users = len(organization.users)
        if n_users < 20:
            continue
        owners = Counter(job.owner for job in organization.jobs)
        owned += sum(n for _, n in owners.most_common(n_users // 10))
        total += len(organization.jobs)
    assert total > 100
    assert owned / total > 0.3


def test_an_instance_of_a_template_runs_its_pipeline(rich_seed: SeedDocument) -> None:
    """Template and instance name the same pipeline, and the instance sets a parameter if there is one."""
    n = 0
    for organization in rich_seed.organizations:
        jobs = {job.key: job for job in organization.jobs}
        pipelines = {pipeline.key: pipeline for pipeline in organization.pipelines}
        for job in organization.jobs:
            if job.template:
                parameters = pipelines[job.pipeline].parameters
                assert jobs[job.template].pipeline == job.pipeline
                assert list(job.parameters) == list(parameters)[:1]
                assert job.parameters != dict(list(parameters.items())[:1]) or not parameters
                n += 1
    assert n > 10


def test_every_instance_fits_on_an_engine(rich_seed: SeedDocument) -> None:
    """No job asks for more engines than the organization has, and active jobs have at least one."""
    for organization in rich_seed.organizations:
        for job in organization.jobs:
            assert 1 <= job.instances <= max(1, len(organization.engines))
            assert organization.engines or job.status == "INACTIVE"


def test_active_jobs_are_spread_evenly(sample_model: NoiseModel) -> None:
    """Between two active jobs stand about as many inactive ones everywhere."""
    for organization in create_seed(sample_model, 1, 50).organizations:
        active = [job.status == "ACTIVE" for job in organization.jobs if not job.is_template]
        gaps = np.diff(np.flatnonzero(active))
        assert not len(gaps) or gaps.max() - gaps.min() <= 1


def test_parameters_and_labels_are_neighbours_on_a_circle() -> None:
    """After the last word comes the first; what is repeated has a number."""
    words, n = np.array([2**64 - 1, 0, 0], dtype=np.uint64), np.array([2, 100, 0])
    two, many, none = draw_words(LABELS, words, n)
    assert (two, none, many[: len(LABELS)]) == ([LABELS[-1], LABELS[0]], [], LABELS)
    assert len(set(many)) == 100
    first, *_, last = PARAMETERS
    assert parameters(len(PARAMETERS) - 1, 2) == {last[0]: last[1], first[0]: first[1]}
    n_parameters = 2 * len(PARAMETERS) + 3
    assert len(parameters(5, n_parameters)) == n_parameters
