"""Starting jobs: exactly those that should run, once, until engines report RUNNING."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.fault_proxy import FaultProxy, Faults

from psrlib.client import ControlHub
from psrlib.engines import start_fleet
from psrlib.errors import InconsistentStateError
from psrlib.seed import SeedDocument
from psrlib.state import diff, observe, populate, setup_engines, start_jobs, wait_until_active
from psrlib.state.running import is_running
from psrlib.verify.structure import job_checks

Connect = Callable[..., ControlHub]


def n_active(document: SeedDocument) -> int:
    return sum(job.status == "ACTIVE" for o in document.organizations for job in o.jobs)


def run_counts(document: SeedDocument, hub: ControlHub) -> list[int]:
    observed = observe(document, hub)
    return [job.run_count for o in observed.organizations.values() for job in o.jobs.values()]


def test_jobs_run_once_on_engines_that_poll(
    rich: SeedDocument, hub_url: str, connect: Connect, tmp_path: Path
) -> None:
    """Start answers get lost; afterwards nothing differs, and starting again starts nothing."""
    with connect() as hub:
        populate(rich, hub, progress=False)
        setup_engines(rich, hub, tmp_path)
        with start_fleet(tmp_path, hub_url, poll_interval_s=0.5):
            with FaultProxy(hub_url, Faults({"reset_after": 0.3}), seed=5) as proxy:
                with connect(proxy.url) as bad_line:
                    assert start_jobs(rich, bad_line) == n_active(rich)
                assert proxy.injected["reset_after"] > 0
            wait_until_active(rich, hub, timeout_s=60)
            difference = diff(rich, observe(rich, hub))
            assert not difference, difference.frame().to_string()
            assert start_jobs(rich, hub) == 0
            assert sorted(set(run_counts(rich, hub))) == [0, 1]
            assert sum(run_counts(rich, hub)) == n_active(rich)


def test_a_job_that_its_engines_have_no_threads_for_fails_by_name(
    rich: SeedDocument, hub_url: str, connect: Connect, tmp_path: Path
) -> None:
    """One pipeline an engine, as if with the smallest thread pool: verify names limit and remedy."""
    with connect() as hub:
        populate(rich, hub, progress=False)
        setup_engines(rich, hub, tmp_path)
        with start_fleet(tmp_path, hub_url, poll_interval_s=0.5, max_pipelines=1):
            start_jobs(rich, hub)
            with pytest.raises(InconsistentStateError, match="CONTAINER_0166"):
                wait_until_active(rich, hub, timeout_s=8)
            checks = {check.name: check for check in job_checks(rich, observe(rich, hub), set())}
    assert not checks["jobs_active"].ok
    assert any("its engine runs no more pipelines at once" in text for text in checks["jobs_active"].findings)


def test_waiting_in_vain_names_jobs_and_status(rich: SeedDocument, connect: Connect) -> None:
    """Without engines the error says what the jobs wait for."""
    with connect() as hub:
        populate(rich, hub, progress=False)
        with pytest.raises(InconsistentStateError, match="psr engines start") as caught:
            wait_until_active(rich, hub, timeout_s=0.1)
        assert f"{n_active(rich)} jobs are not running" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, False),
        ({"status": "ACTIVATING", "pipelineStatus": []}, False),
        ({"status": "ACTIVE", "pipelineStatus": []}, False),
        ({"status": "ACTIVE", "pipelineStatus": [{"status": "STARTING"}]}, False),
        ({"status": "ACTIVE", "pipelineStatus": [{"status": "RUNNING"}, {"status": "RETRY"}]}, False),
        ({"status": "ACTIVE", "pipelineStatus": [{"status": "RUNNING"}]}, True),
        ({"status": "INACTIVE", "pipelineStatus": [{"status": "RUNNING"}]}, False),
    ],
)
def test_running_means_active_with_every_pipeline_running(status: Any, expected: bool) -> None:
    """An ACTIVE job whose engine has not reported is not running yet."""
    assert is_running(status) is expected
