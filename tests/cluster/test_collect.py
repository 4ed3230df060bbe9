"""Collecting by way of two workers gives the same numbers, at the rate asked for."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.dask_cluster import DaskCluster

from psrlib.client import ControlHub
from psrlib.collect import collect_stats
from psrlib.seed import SeedDocument
from psrlib.state import populate
from psrlib.stats import read_stats

Connect = Callable[..., ControlHub]
PASSWORD = "admin@admin"


def test_collect(rich: SeedDocument, connect: Connect, tmp_path: Path) -> None:
    """Every organization once, all tables alike but for their order, which has no meaning."""
    with connect(scheduler=None) as hub:
        populate(rich, hub, progress=False)
        alone = collect_stats(hub, tmp_path / "alone", PASSWORD, k=1, rate_per_s=1000)
    with connect() as hub:
        begun = time.monotonic()
        shared = collect_stats(hub, tmp_path / "shared", PASSWORD, k=1, rate_per_s=40)
        lasted_s = time.monotonic() - begun
    n_reads = sum(n for kind, n in shared.calls.items() if kind != "sessions")
    assert lasted_s > 0.8 * n_reads / 40
    assert shared.rows == alone.rows
    one, other = (read_stats(collected.directory).organizations for collected in (alone, shared))
    columns = [column for column in one.columns if column != "org"]
    assert sorted(map(tuple, one[columns].values)) == sorted(map(tuple, other[columns].values))


def test_an_unfinished_collection_is_resumed(
    rich: SeedDocument,
    connect: Connect,
    dask: DaskCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What workers have read before the client ends is not read again."""
    from psrlib import cluster
    from psrlib.collect.progress import Progress

    monkeypatch.setattr(cluster, "UNKNOWN_WEIGHT", 2000)
    add = Progress.add
    with connect() as hub:
        populate(rich, hub, progress=False)

        def add_two(self: Progress, organization: str, entry: object) -> None:
            if len(self.entries) == 2:
                raise KeyboardInterrupt
            add(self, organization, entry)

        with monkeypatch.context() as patch:
            patch.setattr(Progress, "add", add_two)
            with pytest.raises(KeyboardInterrupt):
                collect_stats(hub, tmp_path / "stats", PASSWORD, k=1, rate_per_s=1000)
        done = collect_stats(hub, tmp_path / "stats", PASSWORD, k=1, rate_per_s=1000)
        assert done.n_resumed == 2
        assert done.n_organizations == len(rich.organizations)
