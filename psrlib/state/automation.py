"""What acts on jobs: scheduled tasks, subscriptions, topologies."""

from contextlib import suppress
from functools import partial

from psrlib.client import ControlHub
from psrlib.client.apps import scheduler
from psrlib.client.apps.notification import event_ids, new_subscription
from psrlib.client.wire import Json
from psrlib.errors import HubError
from psrlib.seed.document import Job, ScheduledTask, Subscription, Topology
from psrlib.state.create_once import TAKEN, repeat_lost
from psrlib.state.details import COMMIT_MESSAGE
from psrlib.state.organization_work import OrganizationWork
from psrlib.state.reading import hub_id
from psrlib.state.schedule import Steps


def automation_steps(work: OrganizationWork) -> Steps[None]:
    """Create scheduled tasks, subscriptions and topologies, which do not depend on each other."""
    yield [
        *(partial(_create_task, work, task) for task in work.missing("scheduled_tasks")),
        *(partial(_create_subscription, work, s) for s in work.missing("subscriptions")),
        *(partial(_create_topology, work, topology) for topology in work.missing("topologies")),
    ]


def _create_task(work: OrganizationWork, task: ScheduledTask) -> None:
    job_id, job_name = work.hub_id("jobs", task.job), _job(work, task.job).name

    def create(session: ControlHub, _: object) -> list[Json]:
        template = _task_template(work, session, job_id, job_name)
        values = {"type": "PIPELINE_JOB", "name": task.name, **task_values(work, task)}
        return [session.scheduler.create_task(scheduler.fill(template, values))]

    work.create("scheduled_tasks", [task], create)


def task_values(work: OrganizationWork, task: ScheduledTask) -> Json:
    """Return the fields of a scheduled task, besides its name and type."""
    return {
        "jobId": work.hub_id("jobs", task.job),
        "jobName": _job(work, task.job).name,
        "executionInfo.action": task.action,
        "crontabMask": task.cron,
        "timeZone": "UTC",
        "status": "RUNNING",
    }


def _task_template(work: OrganizationWork, session: ControlHub, job_id: str, job_name: str) -> Json:
    """Return a blank task: the hub's template, asked for once, or for every task if it carries an id."""
    known = work.knowledge
    with known.lock:
        if known.task_template is not None:
            return known.task_template
        known.task_selector = known.task_selector or session.scheduler.type_selector()
        template = session.scheduler.task_template(known.task_selector, job_id, job_name)
        if not scheduler.value(template.get("id")):
            known.task_template = template
        return template


def _create_subscription(work: OrganizationWork, subscription: Subscription) -> None:
    body = subscription_body(work, subscription)
    work.create("subscriptions", [subscription], lambda s, _: [s.notification.create_subscription(body)])


def subscription_body(work: OrganizationWork, subscription: Subscription) -> Json:
    """Return the wire form of a subscription."""
    return new_subscription(
        subscription.name,
        _event_id(work, subscription.event),
        work.hub_id("jobs", subscription.job),
        subscription.action,
        subscription.target,
        subscription.enabled,
    )


def _event_id(work: OrganizationWork, event: str) -> str:
    """Return the hub's id of an event: the same, or the one whose label has the same words (7.2)."""
    known = work.knowledge
    with known.lock:
        if known.event_ids is None:
            known.event_ids = {}
            with suppress(HubError):
                known.event_ids = event_ids(work.hub.texts())
    if not known.event_ids or event in known.event_ids:
        return event
    words = event.replace("_", " ").lower()
    return next((id for id, label in known.event_ids.items() if label.lower() == words), event)


def _create_topology(work: OrganizationWork, topology: Topology) -> None:
    nodes = [_node(work, key, position) for position, key in enumerate(topology.jobs)]
    work.create("topologies", [topology], lambda s, _: [s.topology.create_topology(topology.name, nodes)])
    row = work.rows["topologies"][topology.key]
    if row.get("draft", True):
        publish_topology(work, row)


def publish_topology(work: OrganizationWork, row: Json) -> None:
    """Publish the draft of a topology."""
    store = work.admin.topology
    id = hub_id("topologies", row)

    def done() -> bool | None:
        work.lost()
        return any(hub_id("topologies", r) == id and not r.get("draft") for r in store.topologies()) or None

    def publish() -> bool:
        try:
            store.publish(str(row["commitId"]), COMMIT_MESSAGE.format(1))
        except HubError as error:  # published meanwhile, by an earlier request that came late for instance
            if error.status not in TAKEN or not done():
                raise
        return True

    repeat_lost(publish, done)


def _node(work: OrganizationWork, job: str, position: int) -> Json:
    """Return a topology node for a job (7.4); lanes are left to the topology editor."""
    entity = _job(work, job)
    pipeline = work.rows["pipelines"][entity.pipeline]
    name = f"{job}:JOB:{position}"
    return {
        "nodeType": "JOB",
        "instanceName": name,
        "library": "streamsets-datacollector-dev-lib",
        "jobId": work.hub_id("jobs", job),
        "pipelineId": pipeline["pipelineId"],
        "pipelineCommitId": pipeline["commitId"],
        "pipelineVersion": pipeline["version"],
        "inputLanes": [],
        "outputLanes": [f"{name}:LANE:0"],
        "uiInfo": {
            "label": entity.name,
            "xPos": 100 + 250 * position,
            "yPos": 100,
            "executorType": "COLLECTOR",
        },
    }


def _job(work: OrganizationWork, key: str) -> Job:
    return next(job for job in work.desired.jobs if job.key == key)
