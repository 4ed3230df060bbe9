"""The vendor's SDK making what a seed document says in one organization."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from psrlib import seed
from psrlib.client.apps.notification import external_action
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.design import connection_body

ID = re.compile(r"^[0-9a-f-]{36}(:.+)?$|@")


@dataclass(frozen=True)
class Sent:
    """A request: method, path with ``{}`` for each id, names of the fields of its JSON body."""

    method: str
    path: str
    fields: frozenset[str] = field(default=frozenset(), compare=False)


def sent(method: str, url: str, body: bytes | str | None) -> Sent:
    """Return what is compared of a request."""
    parts = urlsplit(url).path.split("/")
    path = "/".join("{}" if ID.search(part) else part for part in parts)
    try:
        content = json.loads(body or "null")
    except ValueError:
        content = None
    first = content[0] if isinstance(content, list) and content else content
    return Sent(method, path, frozenset(first) if isinstance(first, dict) else frozenset())


def record(sch: Any) -> list[Sent]:
    """Return a list that grows with each request of an SDK session."""
    seen: list[Sent] = []

    def note(answer: Any, *_: Any, **__: Any) -> None:
        seen.append(sent(answer.request.method, answer.request.url, answer.request.body))

    sch.api_client.session.hooks["response"].append(note)
    return seen


def populate_with_sdk(sch: Any, document: SeedDocument, organization: Organization) -> None:
    """Make groups, connections, fragments, pipelines, jobs, tasks, subscriptions and topologies."""
    for group in organization.groups:
        sch.add_group(sch.get_group_builder().build(display_name=group.name))
    connections = {}
    for connection in organization.connections:
        body = {**connection_body(connection), "organization": sch.organization}
        connections[connection.key] = sch.api_client.create_connection(body).response.json()["id"]
    pipelines = {p.key: _pipeline(sch, document, organization, p) for p in organization.pipelines}
    jobs = {}
    for job in organization.jobs:
        built = sch.get_job_builder().build(
            job.name,
            pipeline=pipelines[job.pipeline],
            job_template=job.is_template,
            runtime_parameters=job.parameters if job.is_template or job.parameters else None,
            tags=job.tags,
        )
        built.data_collector_labels = job.labels
        built.number_of_instances = job.instances
        sch.add_job(built)
        jobs[job.key] = built
    for task in organization.scheduled_tasks:
        builder = sch.get_scheduled_task_builder()
        sch.add_scheduled_task(
            builder.build(jobs[task.job], action=task.action, name=task.name, cron_expression=task.cron)
        )
    for subscription in organization.subscriptions:
        builder = sch.get_subscription_builder()
        words = subscription.event.replace("_", " ").title()
        builder.add_event(event_type=words, filter=f"${{{{JOB_ID=='{jobs[subscription.job].id}'}}}}")
        config = json.loads(external_action(subscription.action, subscription.target)["config"])
        if subscription.action == "EMAIL":
            builder.set_email_action(recipients=config["recipients"], subject="s", body="b")
        else:
            builder.set_webhook_action(uri=config["uri"])
        sch.add_subscription(builder.build(name=subscription.name))
    for topology in organization.topologies:
        builder = sch.get_topology_builder()
        for key in topology.jobs:
            builder.add_job(jobs[key])
        sch.publish_topology(builder.build(topology_name=topology.name), commit_message="Commit 1")


def _pipeline(sch: Any, document: SeedDocument, organization: Organization, pipeline: Any) -> Any:
    """Make a pipeline, and its later commits by the calls to the hub of ``publish_pipeline``.

    That method itself needs an engine besides, which it asks for library definitions.
    """
    documents = _documents(document, organization, pipeline)
    made = sch.import_pipeline(next(documents), "Commit 1", name=pipeline.name)
    commit_id = made.commit_id
    for number, later in enumerate(documents, 2):
        api = sch.api_client
        draft = api.create_pipeline_draft(
            commit_id=commit_id, authoring_sdc_id="SYSTEM_SDC_ID", authoring_sdc_version="5.10.0"
        ).response.json()
        commit_id = draft["commitId"]
        draft["pipelineDefinition"] = json.dumps(later["pipelineConfig"])
        api.save_pipeline_commit(commit_id=commit_id, body=draft)
        api.publish_pipeline_commit(commit_id=commit_id, commit_message=f"Commit {number}")
    return sch.pipelines.get(commit_id=commit_id) if commit_id != made.commit_id else made


def _documents(document: SeedDocument, organization: Organization, pipeline: Any) -> Iterator[dict[str, Any]]:
    for number in range(1, pipeline.commits + 1):
        config, rules = seed.pipeline_definition(document, organization, pipeline, number)
        yield {"pipelineConfig": config, "pipelineRules": rules, "libraryDefinitions": {"stageIcons": {}}}
