"""What populating sets of an entity beside the fields of its record, and what the hub holds of that.

A field that the hub's record does not have, or has as null, is not compared: earlier releases lack some.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from psrlib.client.apps import scheduler
from psrlib.client.apps.jobrunner import FORCE_STOP_MS, STATS_REFRESH_MS, parameters_text
from psrlib.client.apps.notification import external_action
from psrlib.client.apps.security import SETTINGS
from psrlib.client.wire import Json
from psrlib.seed import document as records
from psrlib.state.definitions import parse

GROUP_ROLES = ["user"]  # a group may carry the base role only (control-hub-rest, 3.3)
COMMIT_MESSAGE = "Commit {}"
SEVERAL = COMMIT_MESSAGE.format("of several")  # an archive has one message for all its versions
# The parts of a definition that a hub keeps as they were sent; ids and metadata get the hub's own entries.
KEPT = (
    *("title", "description", "configuration", "stages", "errorStage", "statsAggregatorStage"),
    *("startEventStages", "stopEventStages"),
)
JOB_SETTINGS: Mapping[str, Any] = {
    "description": "",
    "statsRefreshInterval": STATS_REFRESH_MS,
    "migrateOffsets": True,
    "edge": False,
    "executorType": "COLLECTOR",
    "forceStopTimeout": FORCE_STOP_MS,
}


class Detail(NamedTuple):
    """One field: what is desired, what the hub holds."""

    field: str
    desired: Any
    observed: Any


def organization_details(desired: records.Organization, row: Json) -> Iterator[Detail]:
    """Yield the settings of an organization."""
    yield from _present({**SETTINGS, "primaryAdminId": desired.users[0].id}, row)


def user_details(row: Json) -> Iterator[Detail]:
    """Yield whether a user may log in."""
    yield from _present({"active": True}, row)


def group_details(row: Json) -> Iterator[Detail]:
    """Yield the roles of a group."""
    if row.get("roles") is not None:
        yield Detail("roles", GROUP_ROLES, sorted(map(id_of, row["roles"])))


def connection_details(connection: records.Connection, row: Json) -> Iterator[Detail]:
    """Yield description and type of a connection's definition."""
    yield from _present({"description": ""}, row)
    yield Detail("definition", connection.type, parse(row.get("connectionDefinition")).get("type"))


def job_details(
    job: records.Job, row: Json, pipeline: records.Pipeline | None, version: str | None
) -> Iterator[Detail]:
    """Yield the settings of a job, its parameters as they were sent, and the pipeline commit it runs.

    ``version`` is that commit's, None where the hub has no such commit.
    """
    yield from _present(JOB_SETTINGS, row)
    if "runtimeParameters" in row and not job.parameters:
        seen = row["runtimeParameters"]
        text = parameters_text(seen) if isinstance(seen, dict) else seen
        yield Detail("parameters", parameters_text({}), text)
    if pipeline is not None and row.get("pipelineCommitId") is not None:
        yield Detail("commit", str(pipeline.commits), version)


def task_details(row: Json) -> Iterator[Detail]:
    """Yield status and time zone of a scheduled task."""
    plain = {name: scheduler.value(row.get(name)) for name in ("status", "timeZone")}
    yield from _present({"status": "RUNNING", "timeZone": "UTC"}, plain)


def subscription_details(subscription: records.Subscription, row: Json) -> Iterator[Detail]:
    """Yield what a subscription sends, and that it waits for one event and does one thing."""
    yield from _present({"description": ""}, row)
    actions = row.get("externalActions") or [{}]
    yield Detail("events", 1, len(row.get("events") or []))
    yield Detail("actions", 1, len(actions))
    wanted = parse(external_action(subscription.action, subscription.target)["config"])
    seen = parse(actions[0].get("config"))
    yield Detail("message", wanted, {name: seen.get(name) for name in wanted})


def topology_details(
    row: Json, wanted: list[tuple[str, str]], seen: list[tuple[str, str]]
) -> Iterator[Detail]:
    """Yield pipelines and versions behind a topology's jobs, and its commit's message."""
    yield from _present({"description": "", "commitMessage": COMMIT_MESSAGE.format(1)}, row)
    yield Detail("pipelines", wanted, seen)


def commit_details(number: int, document: tuple[Json, Json], commit: Json | None) -> Iterator[Detail]:
    """Yield the message, definition and rules of a commit; None where the hub has no commit of this number.

    ``document`` are the desired definition and rules.
    """
    field = f"commit {number}"
    if commit is None:
        yield Detail(field, "published", "missing")
        return
    if commit.get("commitMessage") not in (None, SEVERAL):
        message = COMMIT_MESSAGE.format(number)
        yield Detail(f"{field} message", message, commit["commitMessage"])
    config, rules = document
    seen = parse(commit.get("pipelineDefinition"))
    yield Detail(field, *_texts(_kept(config), _kept(seen)))
    text = (commit.get("currentRules") or {}).get("rulesDefinition")
    if text is not None:
        wanted_rules = {name: rules[name] for name in ("metricsRuleDefinitions", "dataRuleDefinitions")}
        seen_rules = parse(text)
        yield Detail(
            f"{field} rules", *_texts(wanted_rules, {name: seen_rules.get(name) for name in wanted_rules})
        )


def id_of(reference: Any) -> str:
    """Return the id that a list gives, of which later hubs make whole records.

    Examples
    --------
    >>> id_of("user"), id_of({"id": "user"})
    ('user', 'user')
    """
    return str(reference["id"] if isinstance(reference, dict) else reference)


def _present(desired: Mapping[str, Any], row: Json) -> Iterator[Detail]:
    for name, value in desired.items():
        if row.get(name) is not None:
            yield Detail(name, value, row[name])


def _kept(definition: Json) -> Json:
    fragments = [f.get("stages") for f in definition.get("fragments") or [] if isinstance(f, dict)]
    return {**{name: definition.get(name) for name in KEPT}, "stages of fragments": fragments}


def _texts(wanted: Json, seen: Json) -> tuple[str, str]:
    """Return what to show of two documents: the first part that differs, shortened; equal if they are."""
    for name, value in wanted.items():
        if value != seen.get(name):
            return f"{name} {_short(value)}", f"{name} {_short(seen.get(name))}"
    return "as desired", "as desired"


def _short(value: Any, most: int = 80) -> str:
    """Return a value as text; what is too long to show is told apart by a digest."""
    text = orjson.dumps(value)
    digest = hashlib.blake2b(text, digest_size=6).hexdigest()
    return text.decode() if len(text) <= most else f"{text[:most].decode('utf-8', 'ignore')}… ({digest})"
