"""On two workers everything ends as in one process, and is reported alike."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from support.canon import canon, compare
from support.served_hub import serve_hub

from psrlib import cluster
from psrlib.client import ControlHub
from psrlib.seed import SeedDocument
from psrlib.state import PopulateReport, TeardownReport, populate, teardown
from psrlib.verify import VerificationReport, verify

Connect = Callable[..., ControlHub]


class Alone(NamedTuple):
    """What one process leaves in a hub, and its reports."""

    rows: Counter[tuple[str, str, str]]
    populated: PopulateReport
    verified: VerificationReport
    torn_down: TeardownReport


@pytest.fixture(scope="module")
def alone(rich: SeedDocument, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    database = tmp_path_factory.mktemp("alone") / "hub.db"
    with serve_hub(database) as url, ControlHub(url, "admin@admin", "admin@admin") as hub:
        populated = populate(rich, hub, progress=False)
        rows = canon(database)
        return Alone(rows, populated, verify(rich, hub), teardown(rich, hub))


@pytest.mark.parametrize("weight", [1, 2000], ids=["an-organization-each", "as-chosen"])
def test_populate_verify_and_teardown(
    weight: int,
    rich: SeedDocument,
    connect: Connect,
    database: Path,
    alone: Alone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows of the hub's database, counts, verdict: equal, whatever the size of the shards."""
    monkeypatch.setattr(cluster, "SHARD_WEIGHT", weight)
    with connect() as hub:
        report = populate(rich, hub, progress=False)
        assert compare(canon(database), alone.rows).is_equal
        assert report.created == alone.populated.created
        assert report.changed == alone.populated.changed
        assert not report.difference
        again = populate(rich, hub, progress=False)
        assert (again.created, again.changed) == ({}, {})
        found = verify(rich, hub)
        assert found.checks.equals(alone.verified.checks)
        assert found.difference == alone.verified.difference
        assert found.subject.seed_sha256 == alone.verified.subject.seed_sha256
        assert found.calls == alone.verified.calls
        assert teardown(rich, hub) == alone.torn_down
        assert not any(row["active"] for row in hub.security.organizations() if row["id"] != "admin")
