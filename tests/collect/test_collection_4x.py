"""Collecting from Control Hub 4.x: what the API credentials reach, and the same set as from a 3.x hub."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from psrlib import paths
from psrlib.cli import psr
from psrlib.cli.profiles import hub_target
from psrlib.client import Answer, ControlHub, Credentials, Request, dialect, load_credentials
from psrlib.client.apps import scheduler
from psrlib.client.http import HttpClient
from psrlib.collect import collect_run, collect_stats
from psrlib.collect.rows import DETAILS
from psrlib.collect.session import Pace
from psrlib.errors import HubError, InputError
from psrlib.hub.process.hub_process import find_hub, start_hub
from psrlib.model import NoiseModel
from psrlib.run import open_hub
from psrlib.seed import SeedDocument, create_seed, resolve_variables, save_seed
from psrlib.state import populate
from psrlib.stats import read_stats

PASSWORD = "admin@admin"
FAST = 1000.0  # requests a second
# keys without meaning, and sizes of definitions, which name organizations and people by longer ids on 4.x
OWN = ["org", "owner", "pipeline", "job", "definition_bytes"]
LONGER_IDS = 1000  # bytes at most that they make of a definition
TASKS_PATH = f"{scheduler.BASE}/pageId=SchedulerJobListPage"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(psr, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def few() -> SeedDocument:
    """Four organizations of the sample model."""
    drawn = create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 19071990, 4)
    return resolve_variables(drawn, {"webhook_url": "http://webhooks.invalid/hook"})


@pytest.fixture(scope="module")
def credentials_file(few: SeedDocument, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The API credentials of a hub of release 4 that holds the document, made as a user makes them."""
    folder = tmp_path_factory.mktemp("four")
    save_seed(few, folder / "seed.json")
    with start_hub(folder, release=4):
        made = run("hub", "credentials", folder / "seed.json", "--run-dir", folder)
        assert made.exit_code == 0, made.output
        file = folder / "credentials.json"
        filled = run(
            "populate", folder / "seed.json", "--release", "4", "--credentials", file, "--no-engines"
        )
        assert filled.exit_code == 0, filled.output
        yield file


@pytest.fixture
def known(credentials_file: Path) -> Credentials:
    return load_credentials(credentials_file)


def contents(folder: Path) -> list[tuple[str, list[int], dict[str, list[str]]]]:
    """Return of each organization its counts, its pipelines' numbers of jobs and its details, in one order.

    Left out are surrogate keys, and what a 4.x hub is not filled with: people, owners and limits.
    """
    orgs = pd.read_csv(folder / "orgs.csv").set_index("org").drop(columns="users")
    orgs = orgs.drop(columns=[column for column in orgs if column.startswith("max_")])
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in DETAILS if name != "users"}
    found = []
    for org, row in orgs.iterrows():
        own = {name: table[table.org == org] for name, table in tables.items()}
        jobs_per_pipeline = sorted(own["jobs"].pipeline.value_counts())
        details = {
            name: sorted(table.drop(columns=OWN, errors="ignore").to_csv(index=False).splitlines())
            for name, table in own.items()
        }
        found.append((row.to_json(), jobs_per_pipeline, details))
    return sorted(found, key=str)


def test_the_set_is_that_of_a_3x_hub(
    few: SeedDocument, credentials_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same seed document on both releases, one collected in pages of three rows: the same set."""
    with start_hub(tmp_path) as process, ControlHub(process.url, "admin@admin", PASSWORD) as hub:
        populate(few, hub, progress=False)
        collect_stats(hub, tmp_path / "three", PASSWORD, k=1, rate_per_s=FAST)
    monkeypatch.setattr(dialect, "PAGES", (3, 2))
    out = tmp_path / "four"
    done = run(
        *("collect", "--release", 4, "--credentials", credentials_file, "-o", out),
        *("--k", 1, "--rate", FAST, "--output", "json"),
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["organizations"] == len(few.organizations)
    found = contents(out)
    assert found == contents(tmp_path / "three")
    assert sum(len(details["pipelines"]) - 1 for _, _, details in found) == sum(
        len(o.pipelines) for o in few.organizations
    )
    stats = read_stats(out)
    sizes = [
        sorted(read_stats(tmp_path / n).details["pipelines"]["definition_bytes"]) for n in ("three", "four")
    ]
    assert all(0 < longer - size < LONGER_IDS for size, longer in zip(*sizes, strict=True))
    assert set(stats.organizations["users"]) == {1}
    assert set(stats.details["pipelines"]["owner"].astype(int)) == {1}
    text = done.output + "".join(path.read_text() for path in out.iterdir())
    known = load_credentials(credentials_file)
    assert not [c for c in known.organizations.values() if c.token in text or c.id in text]


def test_every_call_reads_and_keeps_to_the_rate(
    known: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request but the first, which logs in, waits for its turn; none asks for all rows at once."""
    sent: list[Request] = []
    turns: list[None] = []
    send = HttpClient.send

    def record(self: HttpClient, request: Request) -> Answer:
        sent.append(request)
        return send(self, request)

    monkeypatch.setattr(HttpClient, "send", record)
    monkeypatch.setattr(Pace, "wait", lambda self: turns.append(None))
    with ControlHub(known.url, credentials=known, workers=1) as hub:
        done = collect_stats(hub, tmp_path / "stats", "key", k=1)
    assert sum(done.calls.values()) == len(turns) == len(sent) - 1
    assert {r.path for r in sent if r.method != "GET"} == {"/pipelinestore/rest/v1/pipelineCommit"}
    assert all(0 < request.query.get("len", 1) <= dialect.PAGES[0] for request in sent)
    assert done.calls_per_organization <= 16


def test_a_collection_goes_on_with_another_file_of_credentials(
    known: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is known by the hub's ids, whatever the file calls an organization."""
    output = tmp_path / "stats"
    send = HttpClient.send
    organizations: list[str] = []

    def stop(self: HttpClient, request: Request) -> Answer:
        if request.path == TASKS_PATH:
            organizations.append(request.path)
            if len(organizations) == 3:
                raise HubError("GET /scheduler: status 403", 403)
        return send(self, request)

    monkeypatch.setattr(HttpClient, "send", stop)
    with (
        ControlHub(known.url, credentials=known, workers=1) as hub,
        pytest.raises(HubError, match=r"credential of org-000\d may not read .*Organization Administrator"),
    ):
        collect_stats(hub, output, "key", k=1, rate_per_s=FAST)
    monkeypatch.setattr(HttpClient, "send", send)
    renamed = {f"new-{name}": credential for name, credential in known.organizations.items()}
    with ControlHub(known.url, credentials=replace(known, organizations=renamed), workers=1) as hub:
        done = collect_stats(hub, output, "key", k=1, rate_per_s=FAST)
    assert (done.n_organizations, done.n_resumed) == (len(renamed), 2)


def test_two_credentials_of_one_organization_are_refused(known: Credentials, tmp_path: Path) -> None:
    """It would be counted twice."""
    twice = {**known.organizations, "org-0002": known.organizations["org-0001"]}
    with (
        ControlHub(known.url, credentials=replace(known, organizations=twice)) as hub,
        pytest.raises(InputError, match="org-0001 and org-0002 are both of organization"),
    ):
        collect_stats(hub, tmp_path / "stats", "key", k=1, rate_per_s=FAST)
    assert not list(tmp_path.iterdir())


def test_release_4_wants_credentials(tmp_path: Path) -> None:
    """There is no password to ask for."""
    result = run("collect", "--release", 4, "--sch-url", "http://127.0.0.1:1", "-o", tmp_path / "stats")
    assert "takes API credentials; give the file with --credentials" in str(result.exception)


def test_a_run_on_the_embedded_hub_is_collected(credentials_file: Path, tmp_path: Path) -> None:
    """As the notebook does it: the hub of the folder has its credentials beside it."""
    done = collect_run(credentials_file.parent, output_dir=tmp_path / "stats", rate_per_s=FAST)
    assert done.n_organizations == 4


def test_the_own_credentials_of_a_hub_that_is_down_mean_that_hub(few: SeedDocument, tmp_path: Path) -> None:
    """Given by name they are those of the hub of the folder, wherever it was; a copy of it is read."""
    one = replace(few, organizations=few.organizations[:1])
    with start_hub(tmp_path, release=4), open_hub(tmp_path, release="4", document=one) as hub:
        populate(one, hub, progress=False)
    target = hub_target("", "embedded", "admin@admin", 4, str(tmp_path / "credentials.json"), "")
    done = collect_run(tmp_path, output_dir=tmp_path / "stats", rate_per_s=FAST, **target)
    assert done.n_organizations == 1
    assert find_hub(tmp_path) is None


def test_other_credentials_are_sent_to_their_hub(credentials_file: Path, tmp_path: Path) -> None:
    """From a folder of no hub, as for a hub of one's own."""
    target = hub_target("", "embedded", "admin@admin", 0, str(credentials_file), "")
    done = collect_run(tmp_path, output_dir=tmp_path / "stats", k=1, rate_per_s=FAST, **target)
    assert done.n_organizations == 4
