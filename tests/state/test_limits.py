"""Limits are found by the words of their labels."""

import pytest

from psrlib.seed.document import Config
from psrlib.state.limits import entry_values, find_entries, read_config

DOCUMENTED = [
    {"id": "dpm.enable.events", "name": "Enable events to trigger subscriptions", "value": "false"},
    {"id": "e", "name": "Execution engine heartbeat interval", "value": "60"},
    {"id": "s", "name": "System limit on the execution engine heartbeat interval", "value": "300"},
    {"id": "j", "name": "Maximum number of jobs for the organization", "value": "10000"},
    {"id": "t", "name": "Maximum number of topology commits for the organization", "value": "10"},
    {"id": "r", "name": "System limit on the maximum number of job runs", "value": "100"},
    {"id": "u", "name": "Maximum number of users for the organization", "value": "-1"},
    {"id": "p", "name": "Maximum number of pipelines for the organization", "value": "50"},
    {"id": "c", "name": "Maximum number of pipeline commits for the organization", "value": "500"},
]


@pytest.mark.parametrize(
    "label", ["Maximum number of Data Collectors for the organization", "Maximum number of execution engines"]
)
def test_labels_may_vary(label: str) -> None:
    """Exact texts of most labels are unknown."""
    assert find_entries([*DOCUMENTED, {"id": "d", "name": label, "value": "5"}])["max_engines"]["id"] == "d"


def test_neighbouring_entries_are_not_mistaken() -> None:
    """Heartbeats, topology commits and pipeline commits are no limits of ours."""
    found = {field: entry["id"] for field, entry in find_entries(DOCUMENTED).items()}
    assert found == {
        "subscriptions_enabled": "dpm.enable.events",
        "max_jobs": "j",
        "max_job_runs": "r",
        "max_users": "u",
        "max_pipelines": "p",
    }


VENDOR_NAMES = [
    "ENABLE_EVENTS",
    "MAX_API_USER_CREDENTIALS_PER_USER",
    "SECURITY_MAX_ORGANIZATION_GROUPS",
    "SECURITY_MAX_ORGANIZATION_USERS",
    "SECURITY_MAX_ORGANIZATION_DATA_COLLECTORS",
    "SECURITY_MAX_ORGANIZATION_PROVISIONING_AGENTS",
    "JOBRUNNER_MAX_RUNNING_JOBS",
    "JOBRUNNER_MAX_JOB_RUNS",
    "JOBRUNNER_MAX_ORGANIZATION_JOBS",
    "PIPELINESTORE_MAX_ORGANIZATION_PIPELINE_COMMITS",
    "PIPELINESTORE_MAX_ORGANIZATION_PIPELINES",
    "NOTIFICATION_MAX_ORGANIZATION_SUBSCRIPTIONS",
    "SCHEDULER_MAX_RUNNING_JOBS",
    "SCHEDULER_MAX_SCHEDULER_RUNS",
    "ENABLE_SYSTEM_DATA_COLLECTOR",
]


@pytest.mark.parametrize("in_words", [False, True])
def test_the_vendors_names_of_limits_are_understood(in_words: bool) -> None:
    """In any order, none is taken for a neighbour, such as the limit of credentials."""
    for names in (VENDOR_NAMES, VENDOR_NAMES[::-1]):
        shown = [name.replace("_", " ").capitalize() if in_words else name for name in names]
        entries = [{"id": id, "name": name, "value": "5"} for id, name in zip(names, shown, strict=True)]
        assert {field: entry["id"] for field, entry in find_entries(entries).items()} == {
            "subscriptions_enabled": "ENABLE_EVENTS",
            "max_users": "SECURITY_MAX_ORGANIZATION_USERS",
            "max_engines": "SECURITY_MAX_ORGANIZATION_DATA_COLLECTORS",
            "max_pipelines": "PIPELINESTORE_MAX_ORGANIZATION_PIPELINES",
            "max_jobs": "JOBRUNNER_MAX_ORGANIZATION_JOBS",
            "max_job_runs": "JOBRUNNER_MAX_JOB_RUNS",
            "max_scheduled_runs": "SCHEDULER_MAX_SCHEDULER_RUNS",
        }


def test_no_limit_is_read_as_none_and_missing_entries_are_named() -> None:
    """-1 is no limit; what the hub does not publish cannot be compared."""
    config, unseen = read_config(DOCUMENTED)
    assert config == Config(
        subscriptions_enabled=False, max_jobs=10000, max_job_runs=100, max_users=None, max_pipelines=50
    )
    assert unseen == {"max_engines", "max_scheduled_runs"}


def test_only_deviations_are_written() -> None:
    """An entry that holds the desired value, or that nothing is desired of, is left alone."""
    wanted = Config(subscriptions_enabled=True, max_jobs=10000, max_users=50)
    assert entry_values(wanted, DOCUMENTED) == {"dpm.enable.events": "true", "u": "50"}
