"""From the hub's records of one organization to the records of the seed document."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, cast

from psrlib.client import ControlHub
from psrlib.client.apps import scheduler
from psrlib.client.session import Session
from psrlib.client.wire import Json, OwnedApp
from psrlib.errors import AuthenticationError, HubError, HubUnreachableError
from psrlib.seed import document as seed
from psrlib.seed import fragment_definition, pipeline_definition
from psrlib.seed.identity import engine_id
from psrlib.state.definitions import Shape, definition_size, parse, read_shape
from psrlib.state.details import (
    Detail,
    commit_details,
    connection_details,
    group_details,
    id_of,
    job_details,
    organization_details,
    subscription_details,
    task_details,
    topology_details,
    user_details,
)
from psrlib.state.limits import read_config
from psrlib.state.observed import ObservedEngine, ObservedJob, ObservedOrganization
from psrlib.words import KINDS, OWNED

log = logging.getLogger(__name__)

ID_FIELDS = {"fragments": "pipelineId", "pipelines": "pipelineId", "topologies": "topologyId"}
COMPONENT_TYPES = {"COLLECTOR": "dc", "TRANSFORMER": "transformer"}  # control-hub-rest, 6.1
CREATOR_FIELDS = ("creator", "createdBy", "owner", "committer")


def hub_id(kind: str, row: Json) -> str:
    """Return the hub's id of an entity."""
    return str(scheduler.value(row.get(ID_FIELDS.get(kind, "id"))))


def hub_name(row: Json) -> str:
    """Return the name of an entity."""
    return str(scheduler.value(row.get("name")))


class Access(NamedTuple):
    """The app that keeps the entities of a kind and their owners, its listing, its removal by id or ids."""

    app: OwnedApp
    entities: Callable[[], list[Json]]
    delete: Callable[[Any], None]


def access(session: Session, kind: str) -> Access:
    """Return how a session reaches the entities of a kind that has owners."""
    connection, store, runner = session.connection, session.pipelinestore, session.jobrunner
    tasks, events, topology = session.scheduler, session.notification, session.topology
    return {
        "connections": Access(connection, connection.connections, connection.delete_connection),
        "fragments": Access(store, store.fragments, store.delete_pipeline),
        "pipelines": Access(store, store.pipelines, store.delete_pipeline),
        "jobs": Access(runner, runner.jobs, runner.delete_jobs),
        "scheduled_tasks": Access(tasks, tasks.tasks, tasks.delete_task),
        "subscriptions": Access(events, events.subscriptions, events.delete_subscription),
        "topologies": Access(topology, topology.topologies, topology.delete_topologies),
    }[kind]


def engine_registrations(session: ControlHub, desired: seed.Organization) -> list[Json] | None:
    """Return the hub's registrations of engines, used or not; those of agents and Edge are not ours.

    One call for each type of engine that is desired, and for Data Collectors in any case. None where the hub
    refuses to list them.
    """
    kinds = sorted({"COLLECTOR"} | {engine.type for engine in desired.engines})
    try:
        return [
            row
            for kind in kinds
            for row in session.security.components(session.organization, COMPONENT_TYPES[kind])
            if row.get("type") in (None, COMPONENT_TYPES[kind])
        ]
    except (AuthenticationError, HubUnreachableError):
        raise
    except HubError as error:
        log.warning("%s: registrations of engines are not looked at, for %s", desired.id, error)
        return None


def creator(row: Json) -> str:
    """Return the user who created an entity, empty when the record does not say."""
    return next((str(scheduler.value(row[f])) for f in CREATOR_FIELDS if scheduler.value(row.get(f))), "")


class Reader:
    """Collects the records of one organization, then builds the seed records from them.

    Parameters
    ----------
    document : SeedDocument
        The organization's; it fixes the definitions of pipelines.
    desired : Organization
        Gives the keys: an entity of the hub with the same name (id for people) has the same key.
    row : dict
        The hub's record of the organization.
    role_ids : frozenset of str
        Roles the hub knows, empty when it does not say. A desired role that it does not know cannot be given,
        and is not missed.
    adopts : bool
        Whether the organization was there before: its ids on the hub are not those of the seed document, its
        own settings are none of ours, and neither are users whom the document does not name. Users are known
        by their mail address, which is all of them that can be chosen on such a hub.
    """

    def __init__(
        self,
        document: seed.SeedDocument,
        desired: seed.Organization,
        row: Json,
        role_ids: frozenset[str],
        adopts: bool = False,
    ) -> None:
        self._document = document
        self._adopts = adopts
        self._organization_id = str(row.get("id") or desired.id)
        self._unknown_roles = {user.key: set(user.roles) - role_ids for user in desired.users if role_ids}
        self.desired = desired
        self.row = row
        self.entries: list[Json] = []
        self.rows: dict[str, list[Json]] = {kind: [] for kind in KINDS}
        self.registrations: list[Json] = []  # of engines
        self.deployments: list[Json] = []  # of engines that report one
        self.commits: dict[str, Json] = {}
        self.logs: dict[str, list[Json]] = {}  # pipeline id -> its commits, where there are several
        self.owners: dict[str, str] = {}
        self._referenced: set[str] = set()
        self._keys_by_id: dict[str, dict[str, str]] = {}  # kind -> hub id -> key
        self._memberships: defaultdict[str, set[str]] = defaultdict(set)  # user id -> group ids
        self._fragment_ids: dict[str, str] = {}  # id inside the definition -> hub id
        self._desired = {(kind, entity.name): entity for kind in OWNED for entity in getattr(desired, kind)}
        self._group_keys = {group.id: group.key for group in desired.groups}
        random_seed = document.provenance.random_seed
        self._engine_keys = {
            engine_id(random_seed, self._organization_id, e.key): e.key for e in desired.engines
        }
        self._details: list[tuple[str, str, Detail]] = []
        self._wrong_commits: dict[str, int] = {}
        self._versions: dict[str, str] = {}  # commit id -> version of a pipeline

    def has_versions(self, row: Json) -> bool:
        """Whether a pipeline that the seed document names has commits before its latest one."""
        return n_commits(row) > 1 and ("pipelines", hub_name(row)) in self._desired

    def owner_is_clear(self, kind: str, row: Json) -> bool:
        """Whether an entity's creator is its desired owner; then notes him, and its ACL need not be read."""
        made_by = creator(row)
        wanted = self._desired.get((kind, hub_name(row)))
        clear = wanted is None or (bool(made_by) and self._user_key(made_by) == wanted.owner)
        if clear:
            self.owners[hub_id(kind, row)] = made_by
        return clear

    def organization(self, locked: bool = False) -> ObservedOrganization:
        """Return the organization; ``locked`` means that its administrator could not log in."""
        config, unseen = read_config(self.entries)
        self.rows["groups"] = [r for r in self.rows["groups"] if r["id"] != self._everyone]
        if self._adopts:
            self.rows["users"] = [r for r in self.rows["users"] if str(r["id"]) in self._user_keys]
        for group in self.rows["groups"]:
            for member in group.get("users") or []:
                self._memberships[id_of(member)].add(str(group["id"]))
        for kind in OWNED:
            self._keys_by_id[kind] = {hub_id(kind, row): self._key(kind, row) for row in self.rows[kind]}
        organization = seed.Organization(
            id=self.desired.id,
            name=str(self.row.get("name")),
            archetype=self.desired.archetype,
            config=config,
            groups=[self._group(row) for row in self.rows["groups"]],
            users=[self._user(row) for row in self.rows["users"]],
            engines=[self._engine(row) for row in self.rows["engines"]],
            connections=[self._connection(row) for row in self.rows["connections"]],
            fragments=[self._fragment(row) for row in self.rows["fragments"]],
            pipelines=[self._pipeline(row) for row in self.rows["pipelines"]],
            jobs=[self._job(row) for row in self.rows["jobs"]],
            scheduled_tasks=[self._task(row) for row in self.rows["scheduled_tasks"]],
            subscriptions=[self._subscription(row) for row in self.rows["subscriptions"]],
            topologies=[self._topology(row) for row in self.rows["topologies"]],
        )
        if not locked:
            self._compare_details()
        return ObservedOrganization(
            organization=organization,
            details=[entry for entry in self._details if entry[2].desired != entry[2].observed],
            wrong_commits=self._wrong_commits,
            rows=self.rows,
            entries=self.entries,
            row=self.row,
            jobs={self._key("jobs", row): _run(row) for row in self.rows["jobs"]},
            engines={self._engine_key(r): self._observed_engine(r) for r in self.rows["engines"]},
            n_unused_registrations=self._n_unused_registrations(),
            n_undeployed=self._n_undeployed(),
            unseen=unseen,
            referenced=self._referenced,
            drafts=[hub_name(r) for r in self.rows["topologies"] if r.get("draft") and not n_commits(r)],
            active=bool(self.row.get("active", True)),
            locked=locked,
        )

    @property
    def _everyone(self) -> str:
        """The id of the group of all users, which every organization has by itself."""
        return f"all@{self._organization_id}"

    @cached_property
    def _user_keys(self) -> dict[str, str]:
        """Key of each desired user by the hub's id, which is the seed document's unless it adopts."""
        keys = {user.id: user.key for user in self.desired.users}
        if self._adopts:
            mails = {user.email.lower(): user.key for user in self.desired.users[1:]}
            for row in self.rows["users"]:
                keys.setdefault(str(row["id"]), mails.get(str(row.get("email")).lower(), ""))
        return {id: key for id, key in keys.items() if key}

    def _n_unused_registrations(self) -> int:
        unused = sum(not row.get("registeredOn") for row in self.registrations)
        known = {str(row["id"]) for row in self.registrations if row.get("registeredOn")}
        return max(0, unused - len(self._engine_keys.keys() - known))

    def _n_undeployed(self) -> int:
        active = {str(row["id"]) for row in self.deployments if row.get("stateDisplayLabel") == "ACTIVE"}
        reported = [str(row["cspDeploymentId"]) for row in self.rows["engines"] if row.get("cspDeploymentId")]
        return sum(id not in active for id in reported)

    def _compare_details(self) -> None:
        """Note what the desired entities that exist have beside the fields of their records."""
        if not self._adopts:
            self._note("organizations", self.desired.id, organization_details(self.desired, self.row))
        ids = {user.key: user.id for user in self.desired.users}
        for row in self.rows["users"]:
            if str(row["id"]) in self._user_keys:
                self._note("users", ids[self._user_keys[str(row["id"])]], user_details(row))
        for row in self.rows["groups"]:
            if (id := self._seed_id(row)) in self._group_keys:
                self._note("groups", id, group_details(row))
        pipelines = {pipeline.key: pipeline for pipeline in self.desired.pipelines}
        commits = [row for log in [self.rows["pipelines"], *self.logs.values()] for row in log]
        self._versions = {str(commit["commitId"]): str(commit["version"]) for commit in commits}
        seen: set[tuple[str, str]] = set()
        for kind in OWNED:
            for row in self.rows[kind]:
                name = hub_name(row)
                entity = self._desired.get((kind, name))
                if entity is None or (kind, name) in seen:  # of two with one name, the other one is extra
                    continue
                seen.add((kind, name))
                if kind == "connections":
                    details = connection_details(entity, row)
                elif kind == "fragments":
                    definition = fragment_definition(self._document, self.desired, entity)
                    details = commit_details(1, definition, self.commits.get(str(row["commitId"])))
                elif kind == "pipelines":
                    details = self._commit_details(entity, row)
                elif kind == "jobs":
                    version = self._versions.get(str(row.get("pipelineCommitId")))
                    details = job_details(entity, row, pipelines.get(entity.pipeline), version)
                elif kind == "scheduled_tasks":
                    details = task_details(row)
                elif kind == "subscriptions":
                    details = subscription_details(entity, row)
                else:
                    details = topology_details(row, *self._pipelines_behind(entity, row))
                self._note(kind, name, details)

    def _note(self, kind: str, name: str, details: Iterable[Detail]) -> None:
        self._details += [(kind, name, detail) for detail in details]

    def _commit_details(self, pipeline: seed.Pipeline, row: Json) -> Iterator[Detail]:
        log = self.logs.get(hub_id("pipelines", row), [row])
        numbered = {n_commits(commit): commit for commit in log if not commit.get("draft")}
        for number in range(1, min(pipeline.commits, n_commits(row)) + 1):
            definition = pipeline_definition(self._document, self.desired, pipeline, number)
            listed = numbered.get(number)
            commit = None if listed is None else self.commits.get(str(listed["commitId"]))
            details = list(commit_details(number, definition, commit))
            if commit is not None:
                shape = read_shape(commit.get("pipelineDefinition"))
                used = [self._key_of_id("connections", id) for id in shape.connection_ids]
                details += [
                    Detail(f"commit {number} labels", pipeline.labels, shape.labels),
                    Detail(f"commit {number} connection", pipeline.connection or "", ",".join(used)),
                ]
            if any(detail.desired != detail.observed for detail in details):
                self._wrong_commits.setdefault(pipeline.key, number)
            yield from details

    def _pipelines_behind(
        self, topology: seed.Topology, row: Json
    ) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Return pipeline key and version of each job of a topology, desired and observed."""
        jobs = {job.key: job for job in self.desired.jobs}
        pipelines = {pipeline.key: pipeline for pipeline in self.desired.pipelines}
        wanted = [jobs[key].pipeline for key in topology.jobs]
        seen = []
        for node in _nodes(row):
            version, said = self._versions.get(str(node.get("pipelineCommitId"))), node.get("pipelineVersion")
            text = str(said) if said == version else f"{said}, of which the commit is {version}"
            seen.append((self._key_of_id("pipelines", node.get("pipelineId")), text))
        return [(key, str(pipelines[key].commits)) for key in wanted], seen

    def _key(self, kind: str, row: Json) -> str:
        entity = self._desired.get((kind, hub_name(row)))
        return str(entity.key) if entity else hub_name(row)

    def _key_of_id(self, kind: str, id: str | None) -> str:
        self._referenced.add(str(id))
        return self._keys_by_id[kind].get(str(id), str(id or ""))

    def _user_key(self, user: str) -> str:
        return self._user_keys.get(user, user)

    def _head(self, kind: str, row: Json) -> dict[str, Any]:
        """Return the fields of every entity that has an owner."""
        owner = self._user_key(self.owners.get(hub_id(kind, row), ""))
        return {"key": self._key(kind, row), "name": hub_name(row), "owner": owner}

    def _seed_id(self, reference: Any) -> str:
        """Return the seed document's id of a group of the hub: the organization's part differs."""
        name, _, organization = id_of(reference).rpartition("@")
        return f"{name}@{self.desired.id}" if organization == self._organization_id else id_of(reference)

    def _group(self, row: Json) -> seed.Group:
        id = self._seed_id(row)
        return seed.Group(key=self._group_keys.get(id, id), id=id, name=str(row.get("name")))

    def _user(self, row: Json) -> seed.User:
        id = str(row["id"])
        key = self._user_key(id)
        wanted = next((user for user in self.desired.users if user.key == key), None)
        if self._adopts and wanted is self.desired.users[0]:
            return wanted  # whose credential it is: he is as he is
        roles = {id_of(role) for role in row.get("roles") or []}
        groups = {id_of(group) for group in row.get("groups") or []} | self._memberships[id]
        return seed.User(
            key=key,
            id=wanted.id if wanted else id,
            name=str(row.get("name")),
            email=wanted.email if wanted and self._adopts else str(row.get("email")),
            roles=sorted(roles | self._unknown_roles.get(key, set())),
            groups=sorted(
                self._group_keys.get(self._seed_id(group), group) for group in groups - {self._everyone}
            ),
        )

    def _engine_key(self, row: Json) -> str:
        return self._engine_keys.get(str(row["id"]), str(row["id"]))

    def _engine(self, row: Json) -> seed.Engine:
        return seed.Engine(
            key=self._engine_key(row),
            type=cast(seed.EngineType, str(row.get("executorType") or "COLLECTOR")),
            url=str(row.get("httpUrl")),
            labels=_texts(row.get("reportedLabels") or row.get("labels")),
        )

    def _observed_engine(self, row: Json) -> ObservedEngine:
        labels = [*_texts(row.get("labels")), *_texts(row.get("reportedLabels"))]
        return ObservedEngine(
            id=str(row["id"]),
            key=self._engine_key(row),
            responding=bool(row.get("responding")),
            labels=tuple(dict.fromkeys(labels)),
        )

    def _connection(self, row: Json) -> seed.Connection:
        definition = parse(row.get("connectionDefinition"))
        tags = row.get("rawConnectionTags") or [tag.get("tag") for tag in row.get("tags") or []]
        return seed.Connection(
            **self._head("connections", row),
            type=str(row.get("connectionType")),
            configuration={
                str(entry.get("name")): str(entry.get("value"))
                for entry in definition.get("configuration") or []
                if isinstance(entry, dict)
            },
            tags=_texts(tags),
        )

    def _shape(self, row: Json) -> Shape:
        commit = self.commits.get(str(row.get("commitId")), row)
        return read_shape(commit.get("pipelineDefinition"))

    def _fragment(self, row: Json) -> seed.Fragment:
        shape = self._shape(row)
        self._fragment_ids.setdefault(shape.fragment_id, hub_id("fragments", row))
        return seed.Fragment(
            **self._head("fragments", row),
            stages=shape.stages,
            labels=shape.labels,
        )

    def _pipeline(self, row: Json) -> seed.Pipeline:
        shape = self._shape(row)
        fragments = [self._fragment_ids.get(id, id) for id in shape.fragment_ids]  # read before pipelines
        return seed.Pipeline(
            **self._head("pipelines", row),
            stages=shape.stages,
            branches=shape.branches,
            event_lane=shape.event_lane,
            commits=n_commits(row),
            definition_bytes=self._definition_bytes(row),
            labels=shape.labels,
            parameters=shape.parameters,
            fragment=",".join(self._key_of_id("fragments", id) for id in fragments) or None,
            connection=",".join(self._key_of_id("connections", id) for id in shape.connection_ids) or None,
        )

    def _definition_bytes(self, row: Json) -> int:
        """Return the size of a definition; a hub adds to it, so a larger one counts as desired."""
        commit = self.commits.get(str(row.get("commitId")), row)
        size = definition_size(commit.get("pipelineDefinition"))
        desired = self._desired.get(("pipelines", hub_name(row)))
        return size if desired is None else min(size, desired.definition_bytes)

    def _job(self, row: Json) -> seed.Job:
        status = str((row.get("currentJobStatus") or {}).get("status") or "INACTIVE")
        template = row.get("templateJobId")
        return seed.Job(
            **self._head("jobs", row),
            pipeline=self._key_of_id("pipelines", row.get("pipelineId")),
            status=cast(seed.JobStatus, status),
            labels=_texts(row.get("labels")),
            instances=int(row.get("numInstances") or 0),
            tags=_texts(row.get("rawJobTags") or [tag.get("tag") for tag in row.get("jobTags") or []]),
            parameters={str(k): str(v) for k, v in parse(row.get("runtimeParameters")).items()},
            is_template=bool(row.get("jobTemplate")),
            template=self._key_of_id("jobs", template) if template else None,
        )

    def _task(self, row: Json) -> seed.ScheduledTask:
        return seed.ScheduledTask(
            **self._head("scheduled_tasks", row),
            job=self._key_of_id("jobs", scheduler.job_id(row)),
            action=scheduler.action(row),
            cron=str(scheduler.value(row.get("crontabMask"))),
        )

    def _subscription(self, row: Json) -> seed.Subscription:
        event: Json = next(iter(row.get("events") or []), {})
        action: Json = next(iter(row.get("externalActions") or []), {})
        config = parse(action.get("config"))
        recipients = config.get("recipients")
        recipient = recipients[0] if isinstance(recipients, list) and recipients else ""
        return seed.Subscription(
            **self._head("subscriptions", row),
            job=self._key_of_id("jobs", _job_in_filter(event.get("filter"))),
            event=str(event.get("eventType")),
            action="EMAIL" if action.get("eventType") == "EMAIL" else "WEBHOOK",
            target=str(config.get("uri") or recipient),
            enabled=bool(row.get("enabled")),
        )

    def _topology(self, row: Json) -> seed.Topology:
        return seed.Topology(
            **self._head("topologies", row),
            jobs=[self._key_of_id("jobs", node.get("jobId")) for node in _nodes(row)],
        )


def _nodes(topology: Json) -> list[Json]:
    """Return the nodes of a topology that stand for jobs."""
    nodes = parse(topology.get("topologyDefinition")).get("topologyNodes")
    listed = nodes if isinstance(nodes, list) else []
    return [node for node in listed if isinstance(node, dict) and node.get("nodeType") == "JOB"]


def _run(job: Json) -> ObservedJob:
    """Return the current run of a job from its job status (control-hub-rest, 5.4)."""
    run = job.get("currentJobStatus") or {}
    return ObservedJob(
        id=str(job["id"]),
        status=run.get("status"),
        color=run.get("color"),
        run_count=int(run.get("runCount") or 0),
        engine_ids=tuple(_texts(run.get("sdcIds"))),
        pipeline_statuses={str(p["sdcId"]): str(p.get("status")) for p in run.get("pipelineStatus") or []},
        error=run.get("errorMessage"),
    )


def n_commits(row: Json) -> int:
    """Return how many versions are published, from the latest version ``3`` or draft ``4-DRAFT``.

    Examples
    --------
    >>> n_commits({"version": "3"}), n_commits({"version": "4-DRAFT"})
    (3, 3)
    """
    number, _, draft = str(row.get("version") or "0").partition("-")
    return int(number) - bool(draft)


def _job_in_filter(text: Any) -> str | None:
    """Return the job id of a filter such as ``${{JOB_ID=='<id>'}}``."""
    parts = str(text or "").replace('"', "'").split("'")
    return parts[1] if len(parts) >= 3 else None


def _texts(values: Any) -> list[str]:
    return [str(value) for value in values or [] if value is not None]
