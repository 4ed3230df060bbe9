"""Verification against a live embedded hub with engines: after a run, and after an accident."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import orjson
import pytest
from click.testing import CliRunner, Result
from support.ports import free_port

from psrlib import cli, paths
from psrlib.client import ControlHub
from psrlib.engines import fleet_status, start_fleet
from psrlib.errors import InputError
from psrlib.hub.process.hub_process import find_hub, start_hub
from psrlib.model import NoiseModel
from psrlib.run import open_run
from psrlib.seed import SeedDocument, create_seed, resolve_variables, save_seed
from psrlib.seed.document import Organization, ScheduledTask
from psrlib.state import apply_rewrite, populate, setup_engines, start_jobs, wait_until_active
from psrlib.verify import apply_to_run, find_model, review_run, verify
from psrlib.verify.review import settle

PASSWORD = "admin@admin"
RANDOM_SEED = 23


def with_often_started_job(organization: Organization) -> Organization:
    """Return an organization with a task that starts an inactive job every other second."""
    job = next(job for job in organization.jobs if job.status == "INACTIVE" and not job.is_template)
    owner = organization.users[0].key
    task = ScheduledTask("task-often", "Start often", job.key, "START", "0/2 * * * * ? *", owner)
    return msgspec.structs.replace(organization, scheduled_tasks=[*organization.scheduled_tasks, task])


@pytest.fixture(scope="module")
def original() -> SeedDocument:
    """Three organizations; the first has a job that a task starts against its desired status."""
    document = create_seed(NoiseModel.load(paths.SAMPLE_MODEL), RANDOM_SEED, 3)
    first, *others = document.organizations
    variables = {**document.variables, "webhook_url": f"http://127.0.0.1:{free_port()}/webhook"}
    organizations = [with_often_started_job(first), *others]
    return msgspec.structs.replace(document, variables=variables, organizations=organizations)


@pytest.fixture(scope="module")
def document(original: SeedDocument) -> SeedDocument:
    return resolve_variables(original)


@pytest.fixture(scope="module")
def run_dir(original: SeedDocument, document: SeedDocument, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was populated and ran, with hub and engines down again."""
    folder = tmp_path_factory.mktemp("run")
    save_seed(original, folder / "seed.json")
    with start_hub(folder) as process, ControlHub(process.url, "admin@admin", PASSWORD) as hub:
        populate(document, hub, progress=False)
        setup_engines(document, hub, folder)
        with start_fleet(folder, process.url, document.variables["webhook_url"], poll_interval_s=0.25):
            start_jobs(document, hub)
            wait_until_active(document, hub, timeout_s=60)
    return folder


@pytest.fixture
def copy(run_dir: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the run that a test may change."""
    folder = tmp_path / "run"
    shutil.copytree(run_dir, folder)
    yield folder
    assert find_hub(folder) is None, "the test left its hub running"


@pytest.fixture(scope="module")
def hub(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlHub]:
    """The hub of a copy of the run, engines down, for tests that do not change it."""
    folder = tmp_path_factory.mktemp("shared") / "run"
    shutil.copytree(run_dir, folder)
    with open_run(folder, None) as hub:
        yield hub


def psr(*arguments: str) -> Result:
    given = [name for name in os.environ if name.startswith("PSR_")]
    return CliRunner().invoke(cli.psr, arguments, env=dict.fromkeys(given))


def test_a_run_is_brought_up_verified_and_left_as_it_was(run_dir: Path, document: SeedDocument) -> None:
    """Consistent, with jobs on live engines; the job that a task starts is judged by its runs."""
    report = review_run(document, run_dir, model=find_model(document), timeout_s=60)
    assert report.consistent, report.verdict
    checks = report.checks.set_index("name")
    assert checks.loc["jobs_active", "checked"] > 5
    assert checks.loc["task_driven_runs", "checked"] == 1
    assert checks.loc["engines_responding", "checked"] == sum(len(o.engines) for o in document.organizations)
    assert "metric_distances" in checks.index
    driven = report.jobs[report.jobs["driven"]]
    assert list(driven["desired"]) == ["INACTIVE"]
    assert find_hub(run_dir) is None
    assert not fleet_status(run_dir)["running"]


def test_a_hub_with_half_the_organizations_is_inconsistent_in_one_sentence(hub: ControlHub) -> None:
    """A larger seed extends a smaller one: the hub holds its beginning only."""
    larger = resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), RANDOM_SEED, 6))
    report = verify(larger, hub)
    assert not report.consistent
    assert "organizations: 3 of 6 wrong" in report.verdict
    assert '"org-0004" is missing and 2 more' in report.verdict


def test_the_seed_json_of_another_hub_is_refused(hub: ControlHub) -> None:
    """Ids repeat from seed to seed, contents do not."""
    other = resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), RANDOM_SEED + 1, 3))
    with pytest.raises(InputError, match="populated from another seed"):
        verify(other, hub)


def test_a_folder_without_a_hub_is_refused(tmp_path: Path, document: SeedDocument) -> None:
    """Nothing is started, nothing is written."""
    with pytest.raises(InputError, match="no embedded hub"), open_run(tmp_path, document):
        pass
    assert list(tmp_path.iterdir()) == []


def test_psr_verify_ends_with_0_1_and_2(copy: Path, document: SeedDocument, tmp_path: Path) -> None:
    """Consistent; then a user renamed by hand; then a report that is none."""
    seed, report = str(copy / "seed.json"), str(tmp_path / "report")
    webhook = document.variables["webhook_url"]
    with start_hub(copy) as process, start_fleet(copy, process.url, webhook, poll_interval_s=0.25):
        good = psr("verify", seed, "--report", report)
        hub = ControlHub(process.url, "admin@admin", PASSWORD)
        user = hub.security.users("org-0002")[0]
        hub.security.update_user("org-0002", {**user, "name": "Somebody Else"})
        hub.close()
        bad = psr("verify", seed, "--report", report, "--against", report)
    assert (good.exit_code, good.stderr) == (0, "")
    assert "Consistent: 3 organizations" in good.stdout

    assert bad.exit_code == 1
    assert "Inconsistent: 3 organizations" in bad.stdout
    assert "is Somebody Else" in bad.stdout
    assert "Changed between" in bad.stdout
    saved = orjson.loads((tmp_path / "report" / "report.json").read_bytes())
    assert [item["field"] for item in saved["difference"]] == ["name"]

    wrong = psr("verify", seed, "--against", seed)
    assert isinstance(wrong.exception, InputError)
    assert wrong.exception.exit_status == 2
    assert "expected a report.json of psr verify" in str(wrong.exception)


def test_rewriting_updates_a_hub_in_place(copy: Path, original: SeedDocument) -> None:
    """Another webhook address reaches every subscription; verification against the new document holds."""
    target = "http://127.0.0.1:9/other"
    variables = {**original.variables, "webhook_url": target}
    rewritten = msgspec.structs.replace(original, variables=variables)
    done = apply_to_run(original, rewritten, copy)
    n = sum(
        subscription.action == "WEBHOOK" for o in original.organizations for subscription in o.subscriptions
    )
    assert f"0 entities created, {n} changed" in done.summary()
    with open_run(copy, None) as hub:
        found = verify(resolve_variables(rewritten), hub)
        items = found.difference.items
        assert {item.change for item in items if item.organization == "org-0001"} <= {"different"}
        assert not [item for item in items if item.kind == "subscriptions"]


def test_rewriting_what_cannot_change_in_place_is_refused(hub: ControlHub, document: SeedDocument) -> None:
    """Names recognise entities, and published commits never change."""
    first, *others = document.organizations
    pipelines = [msgspec.structs.replace(p, labels=["new"]) for p in first.pipelines]
    rewritten = msgspec.structs.replace(
        document, organizations=[msgspec.structs.replace(first, pipelines=pipelines), *others]
    )
    with pytest.raises(InputError, match=r"pipelines\.labels cannot be changed in place"):
        apply_rewrite(document, rewritten, hub)


def test_rewriting_a_hub_that_holds_something_else_is_refused(
    hub: ControlHub, original: SeedDocument
) -> None:
    """The hub must hold the document that is rewritten."""
    one, two = (resolve_variables(original, {"webhook_url": f"http://127.0.0.1:9/{i}"}) for i in "ab")
    with pytest.raises(
        InputError, match=r"does not hold what the seed document says \(\d+ subscriptions different"
    ):
        apply_rewrite(one, two, hub)


def test_a_hub_without_the_organizations_is_told_what_is_missing(
    document: SeedDocument, tmp_path: Path
) -> None:
    """Not that a password is wrong: of organizations that are not there, or locked, nobody can log in."""
    first = document.organizations[0]
    with start_hub(tmp_path) as process, ControlHub(process.url, "admin@admin", PASSWORD) as hub:
        with pytest.raises(InputError, match="holds no organization of this seed document"):
            verify(document, hub)
        admin = first.users[0]
        record = {"id": admin.id, "name": admin.name, "email": admin.email, "roles": admin.roles}
        hub.security.create_organization(first.id, first.name, record)
        (row,) = (row for row in hub.security.organizations() if row["id"] == first.id)
        hub.security.update_organization({**row, "active": False})
        settle(document, hub, 1.0)
        findings = [finding for check in verify(document, hub).results for finding in check.findings]
    assert (
        f'{document.organizations[1].id}: organizations "{document.organizations[1].id}" is missing'
        in findings
    )
    assert any("administrator should be can log in" in finding for finding in findings)
