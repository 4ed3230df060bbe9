"""Collecting from a database: the set that REST gives, read-only, resumable, nothing named on the disk."""

import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, insert, select, text
from support.postgres import serve_postgres

from psrlib import paths
from psrlib.cli import psr
from psrlib.client import ControlHub
from psrlib.collect import collect_sql, collect_stats, load_mapping
from psrlib.collect import sql as module
from psrlib.errors import InputError
from psrlib.hub.process.hub_process import HubProcess
from psrlib.hub.store.schema import metadata
from psrlib.seed import SeedDocument
from psrlib.stats import read_stats

PASSWORD = "admin@admin"
EMBEDDED_HUB = paths.DATA / "sql" / "embedded-hub.yaml"
MAPPING = load_mapping(EMBEDDED_HUB)
KEYS = ["org", "owner", "pipeline", "job"]  # surrogates, in another order each time


@pytest.fixture(scope="module")
def database(process: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the database of the running hub, as a replica is one."""
    path = tmp_path_factory.mktemp("replica") / "hub.db"
    with sqlite3.connect(process.run_dir / "hub.db") as live, sqlite3.connect(path) as copy:
        live.backup(copy)
    live.close()
    copy.close()
    return path


@pytest.fixture(scope="module")
def over_rest(process: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """The tables of the same hub, collected over REST."""
    folder = tmp_path_factory.mktemp("rest") / "stats"
    with ControlHub(process.url, "admin@admin", PASSWORD, workers=1) as hub:
        collect_stats(hub, folder, PASSWORD, k=1, rate_per_s=1000.0)
    return tables_of(folder)


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables without keys, rows and columns in order."""
    stats = read_stats(folder)
    tables = {"orgs": stats.organizations, **stats.details}
    kept = {name: table.drop(columns=[c for c in KEYS if c in table]) for name, table in tables.items()}
    return {
        name: table[sorted(table)].sort_values(sorted(table)).reset_index(drop=True)
        for name, table in kept.items()
    }


def assert_equal(folder: Path, over_rest: dict[str, pd.DataFrame]) -> None:
    """Every table is there with the same rows; limits that the mapping does not ask for may lack."""
    found = tables_of(folder)
    assert set(found) == set(over_rest)
    for name, table in found.items():
        expected = over_rest[name][[column for column in over_rest[name] if column in table]]
        expected = expected.sort_values(list(expected)).reset_index(drop=True)
        pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_the_set_is_the_one_of_rest(database: Path, over_rest: dict[str, pd.DataFrame], output: Path) -> None:
    """On SQLite, with the mapping that is shipped."""
    done = collect_sql(f"sqlite:///{database}", MAPPING, output, k=1, source="synthetic")
    assert_equal(output, over_rest)
    assert done.n_organizations == 6
    assert {"users", "jobs", "scheduled_tasks", "max_pipelines"} <= set(tables_of(output)["orgs"])


def test_the_set_is_the_one_of_rest_on_postgresql(
    database: Path, over_rest: dict[str, pd.DataFrame], output: Path
) -> None:
    """The same mapping, streamed in a read-only transaction of the server."""
    with serve_postgres() as server:
        server.create("replica", template="template1")
        source, target = create_engine(f"sqlite:///{database}"), create_engine(server.database("replica"))
        metadata.create_all(target)
        with source.connect() as old, target.begin() as new:
            for table in metadata.sorted_tables:
                rows = [dict(row) for row in old.execute(select(table)).mappings()]
                if rows:
                    new.execute(insert(table), rows)
            new.execute(text("CREATE SEQUENCE s"))
        source.dispose()
        target.dispose()
        collect_sql(server.database("replica"), MAPPING, output, k=1)
        orgs = "SELECT 'a' AS org, 1 AS users, 1 AS pipelines, nextval('s') AS jobs"
        writing = module.SqlMapping({"orgs": orgs})
        with pytest.raises(InputError, match="read-only transaction"):
            collect_sql(server.database("replica"), writing, output.with_name("again"), k=1)
    assert_equal(output, over_rest)


def test_nothing_of_the_database_is_named_on_the_disk(
    database: Path, output: Path, document: SeedDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the set nor, when the way breaks off, in what is kept to go on."""
    monkeypatch.setattr(module, "write_set", broken)
    with pytest.raises(KeyboardInterrupt):
        collect_sql(f"sqlite:///{database}", MAPPING, output, k=1)
    monkeypatch.undo()
    partial = output.with_name("stats.partial").read_text()
    done = collect_sql(f"sqlite:///{database}", MAPPING, output, k=1)
    assert done.n_resumed == len(MAPPING.selects)
    assert done.calls == {"SELECT": 0}
    assert not output.with_name("stats.partial").exists()
    written = [partial, *(path.read_text() for path in output.iterdir())]
    names = [name for o in document.organizations for name in (o.id, o.users[0].id, o.pipelines[0].name)]
    assert not [name for name in names if any(name in content for content in written)]


def broken(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_rules_of_hiding_are_those_of_rest(database: Path, output: Path) -> None:
    """Too few organizations to hide among are refused."""
    with pytest.raises(InputError, match="6 organizations cannot hide among 7"):
        collect_sql(f"sqlite:///{database}", MAPPING, output, k=7)
    assert not output.exists()


ORGS = "SELECT id AS org, 1 AS users, 1 AS pipelines, 1 AS jobs FROM organizations"


@pytest.mark.parametrize(
    ("selects", "words"),
    [
        (
            {"orgs": "SELECT id AS org FROM organizations"},
            "SELECT of orgs: .*no users, no pipelines, no jobs",
        ),
        ({"orgs": ORGS.replace("1 AS users", "1 AS users, 2 AS cats")}, r"unexpected columns \(cats\)"),
        ({"orgs": ORGS.replace("1 AS users", "'many' AS users")}, "row 1: users: expected a whole number"),
        ({"orgs": "SELECT 1 AS org FROM nowhere"}, "no such table: nowhere"),
        ({"orgs": ORGS + " UNION ALL " + ORGS.replace("1 AS", "2 AS")}, "an organization stands twice"),
        (
            {"orgs": ORGS + " WHERE id <> 'org-0001'", "jobs": "SELECT organization AS org FROM jobs"},
            "SELECT of jobs: a row of an organization that the SELECT of orgs lacks",
        ),
    ],
    ids=["lacking", "unknown", "text", "failing", "twice", "stray"],
)
def test_a_wrong_select_is_one_sentence(
    database: Path, output: Path, selects: dict[str, str], words: str
) -> None:
    """Table, row and column are named."""
    with pytest.raises(InputError, match=words):
        collect_sql(f"sqlite:///{database}", module.SqlMapping(selects), output, k=1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("jobs: SELECT 1", "orgs is needed"),
        ("orgs: DELETE FROM jobs", "orgs: expected one SELECT, got 'DELETE FROM jobs'"),
        ("orgs: SELECT 1; DROP TABLE jobs", "orgs: expected one SELECT"),
        ("orgs: SELECT 1\ncats: SELECT 1", "unknown table 'cats'"),
        ("orgs: [1]", "expected one SELECT"),
    ],
)
def test_a_mapping_only_reads(tmp_path: Path, content: str, words: str) -> None:
    """One SELECT for each table."""
    path = tmp_path / "mapping.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        load_mapping(path)


def test_a_database_is_not_written_to(database: Path, output: Path, tmp_path: Path) -> None:
    """SQLite refuses even what the check of the mapping would let pass; a missing file is not made."""
    copy = Path(shutil.copy(database, tmp_path / "copy.db"))
    before = copy.read_bytes()
    collect_sql(f"sqlite:///{copy}", MAPPING, output, k=1)
    assert copy.read_bytes() == before
    with pytest.raises(InputError, match="no such database"):
        collect_sql(f"sqlite:///{tmp_path / 'none.db'}", MAPPING, output.with_name("again"), k=1)
    assert not (tmp_path / "none.db").exists()


def test_a_password_never_stands_in_an_address(output: Path) -> None:
    """It would be seen in the list of processes."""
    with pytest.raises(
        InputError, match=r"leave the password out of the address.*PSR_SQL_PASSWORD"
    ) as caught:
        collect_sql("postgresql://reader:secret@replica/sch", MAPPING, output)
    assert "secret" not in str(caught.value)


def test_the_command_shows_its_selects_before_it_runs(database: Path, output: Path) -> None:
    """``--plan`` reads nothing; without it the set is written."""
    arguments = ["collect", "--sql", str(EMBEDDED_HUB), "-o", str(output), "--k", "1"]
    planned = CliRunner().invoke(psr, [*arguments, "--plan"])
    assert planned.exit_code == 0, planned.output
    assert "-- scheduled_tasks\nSELECT t.organization AS org" in planned.output
    assert not output.exists()
    done = CliRunner().invoke(psr, [*arguments, "--sql-url", f"sqlite:///{database}"])
    assert done.exit_code == 0, done.output
    assert "orgs.csv: 6 rows" in done.output
    assert CliRunner().invoke(psr, arguments).exit_code == 2
