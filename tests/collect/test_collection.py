"""Collecting from a live hub: exact, read-only, resumable, refused in one sentence."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from psrlib.client import Answer, ControlHub, Request
from psrlib.client.http import HttpClient
from psrlib.collect import collect_stats, collection
from psrlib.errors import HubError, InputError
from psrlib.hub.process.hub_process import HubProcess
from psrlib.model.fit import fit_directory
from psrlib.seed import SeedDocument
from psrlib.stats import read_stats
from psrlib.verify.counts import metrics_frame
from psrlib.words import COUNTS

PASSWORD = "admin@admin"
FAST = 1000.0  # requests a second


def sorted_rows(frame: pd.DataFrame) -> list[tuple[int, ...]]:
    return sorted(frame[list(COUNTS)].itertuples(index=False, name=None))


def test_the_counts_are_exactly_those_of_the_seed_document(
    hub: ControlHub, output: Path, document: SeedDocument
) -> None:
    """Collect after populate gives back every organization's numbers, in another order."""
    done = collect_stats(hub, output, PASSWORD, k=1, source="synthetic", rate_per_s=FAST)
    stats = read_stats(output)
    assert sorted_rows(stats.organizations) == sorted_rows(metrics_frame(document.organizations))
    assert stats.meta["source"] == "synthetic"
    assert done.rows["pipelines"] == sum(len(o.pipelines) for o in document.organizations)
    stages = sorted(p.stages for o in document.organizations for p in o.pipelines)
    assert sorted(stats.details["pipelines"]["stages"]) == stages
    assert done.calls_per_organization <= 15


def test_limits_are_those_of_the_seed_document(hub: ControlHub, output: Path, document: SeedDocument) -> None:
    """Configuration entries are found by the words of their labels."""
    collect_stats(hub, output, PASSWORD, k=1, definitions=False, rate_per_s=FAST)
    collected = read_stats(output).organizations["max_pipelines"]
    assert sorted(collected) == sorted(o.config.max_pipelines or -1 for o in document.organizations)


def test_no_call_writes(
    hub: ControlHub, process: HubProcess, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only GET, logins and the one POST that reads; and the hub's tables are as before, sessions excepted."""
    sent: list[tuple[str, str]] = []
    send = HttpClient.send

    def record(self: HttpClient, request: Request) -> Answer:
        sent.append((request.method, request.path))
        return send(self, request)

    monkeypatch.setattr(HttpClient, "send", record)
    before = design_rows(process.run_dir / "hub.db")
    collect_stats(hub, output, PASSWORD, k=1, rate_per_s=FAST)
    assert len(sent) > 50
    assert {path for method, path in sent if method != "GET"} == {
        "/security/public-rest/v1/authentication/login",
        "/pipelinestore/rest/v1/pipelineCommit",
    }
    assert design_rows(process.run_dir / "hub.db") == before


def design_rows(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return what a hub was told to hold; engines and sessions go on changing by themselves."""
    tables = (
        "organizations",
        "users",
        "groups",
        "pipelines",
        "pipeline_commits",
        "jobs",
        "subscriptions",
        "topologies",
        "connections",
    )
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        shown = [table for table in tables if table in names]
        assert {"organizations", "jobs", "pipelines"} <= set(shown)
        rows = {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=str) for table in shown}
    connection.close()
    return rows


def test_a_collection_that_was_killed_goes_on_where_it_was(
    hub: ControlHub, output: Path, document: SeedDocument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing readable is left behind, and only the rest is read the second time."""
    read = collection.read_organization
    seen: list[str] = []

    def read_three(hub: ControlHub, organization: str, *args: object, **options: object) -> object:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(organization)
        return read(hub, organization, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(collection, "read_organization", read_three)
    with pytest.raises(KeyboardInterrupt):
        collect_stats(hub, output, PASSWORD, k=1, rate_per_s=FAST)
    (partial,) = output.parent.iterdir()
    content = partial.read_bytes()
    assert not any(word in content for word in (b"org-0001", b"users", b"ACTIVE", b"http"))
    assert os.stat(partial).st_mode & 0o777 == 0o600
    partial.write_bytes(content + b"gAAAA-half-a-line")

    monkeypatch.setattr(collection, "read_organization", read)
    done = collect_stats(hub, output, PASSWORD, k=1, rate_per_s=FAST)
    assert (done.n_organizations, done.n_resumed) == (6, 3)
    assert sorted_rows(read_stats(output).organizations) == sorted_rows(metrics_frame(document.organizations))
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_another_password_does_not_open_what_is_unfinished(
    hub: ControlHub, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to do."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(collection, "read_organization", stop)
    with pytest.raises(KeyboardInterrupt):
        collect_stats(hub, output, PASSWORD, k=1, rate_per_s=FAST)
    with pytest.raises(
        InputError, match=r"begun with another password or credential; use that one, or delete stats\.partial"
    ):
        collect_stats(hub, output, "another", k=1, rate_per_s=FAST)


def test_an_existing_folder_is_refused_before_anything_is_read(hub: ControlHub, output: Path) -> None:
    """Neither requests nor files."""
    output.mkdir()
    before = hub.calls.total
    with pytest.raises(InputError, match="exists already; choose another folder"):
        collect_stats(hub, output, PASSWORD)
    assert hub.calls.total == before
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_fewer_organizations_than_k_are_refused_early(hub: ControlHub, output: Path) -> None:
    """Six organizations cannot hide among seven."""
    with pytest.raises(InputError, match="6 organizations cannot hide among 7"):
        collect_stats(hub, output, PASSWORD, k=7)
    assert list(output.parent.iterdir()) == []


def test_organizations_whose_administrator_cannot_log_in_are_named(process: HubProcess, output: Path) -> None:
    """Scheduled tasks can be left out instead."""
    with ControlHub(process.url, "admin@admin", PASSWORD, workers=1, organization_password="wrong") as hub:
        with pytest.raises(HubError, match="administrator of org-0001 cannot log in"):
            collect_stats(hub, output, PASSWORD, k=1, rate_per_s=FAST)
        done = collect_stats(hub, output, PASSWORD, k=1, tasks=False, rate_per_s=FAST)
    assert fit_directory(output, evaluate=False).model.assumed == {"scheduled_tasks": "model"}
    assert "scheduled_tasks" not in pd.read_csv(output / "orgs.csv")
    assert "scheduled_tasks" not in done.rows


def test_nothing_of_the_hub_is_named_in_the_set(
    hub: ControlHub, output: Path, document: SeedDocument
) -> None:
    """No id, name or address of any entity occurs in any file."""
    collect_stats(hub, output, PASSWORD, k=2, rate_per_s=FAST, rng=np.random.default_rng(1))
    text = "".join(path.read_text() for path in output.iterdir())
    for organization in document.organizations:
        words = {organization.id, organization.name, *(user.id for user in organization.users)}
        words |= {entity.name for entity in [*organization.pipelines, *organization.jobs]}
        assert not [word for word in words if word in text]
