"""The calls that the populator makes, as calls of the client's own methods: their paths stand there alone."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from psrlib.client import Answer, ControlHub, Request
from psrlib.client.login import LOGIN_PATH
from psrlib.client.session import Session

ID = "{}"  # stands for an id in a path
RECORD = {"id": ID}
ADMIN = {"id": ID, "name": ID, "email": ID, "roles": []}


@dataclass(frozen=True)
class Call:
    """A call of the REST API: method, and path with `ID` for every id in it."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def app(self) -> str:
        """The app of the hub that serves it; ``hub`` for what belongs to none."""
        first = self.path.split("/")[1]
        return first if self.path.startswith(f"/{first}/") and first not in ("rest", "assets") else "hub"

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is this call.

        Examples
        --------
        >>> Call("GET", "/jobrunner/rest/v1/job/{}/acl").matches("GET", "/jobrunner/rest/v1/job/a:b/acl")
        True
        """
        mine, theirs = self.path.split("/"), path.split("/")
        return method == self.method and len(mine) == len(theirs) and all(map(_agree, mine, theirs))


def _agree(pattern: str, segment: str) -> bool:
    return pattern in (ID, segment)


@dataclass(frozen=True)
class Need:
    """Something the populator asks of a hub.

    Parameters
    ----------
    what : str
        What it does, for a reader who does not know the API.
    make : callable
        Does it in a session, with `ID` in place of ids.
    otherwise : str
        What the populator does on a hub without it; empty when it cannot go on.
    look : callable or None
        Does it in a session of the caller's own organization without changing anything; takes the rows of the
        listings seen so far by the names of their methods, and returns None when it finds nothing to look at.
    is_hidden : bool
        Whether hubs are known that have it and do not list it in their documents (control-hub-4x, 0).
    releases : tuple of int
        The releases of Control Hub of which it is asked, 4 for 4.x and later.
    """

    what: str
    make: Callable[[Session], Any]
    otherwise: str = ""
    look: Callable[[ControlHub, "Rows"], Any] | None = None
    is_hidden: bool = False
    releases: tuple[int, ...] = (3, 4)

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """The calls it takes, noted from a session that sends nothing."""
        sketch = _Sketch()
        # what a method makes of the answer it did not get is of no interest
        with suppress(TypeError, KeyError, AttributeError):
            self.make(sketch)
        return tuple(sketch.calls)


Rows = dict[str, list[dict[str, Any]]]


class _Sketch(Session):
    """A session that notes calls and sends none."""

    organization = ID

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def answer(self, request: Request) -> Answer:
        self.calls.append(Call(request.method, request.path))
        return Answer(None)


def _server(path: str) -> Callable[[Session], Any]:
    return lambda session: session.answer(Request("GET", path, "metadata"))


def _first(rows: Rows, listing: str, field: str) -> str | None:
    """Return a field of the first row of a listing; None without one."""
    return next((str(row[field]) for row in rows.get(listing, ()) if row.get(field)), None)


def _of_first(
    listing: str, field: str, look: Callable[[ControlHub, str], Any]
) -> Callable[[ControlHub, Rows], Any]:
    """Return a look at what belongs to the first row of a listing."""

    def look_at(hub: ControlHub, rows: Rows) -> Any:
        id = _first(rows, listing, field)
        return None if id is None else look(hub, id)

    return look_at


def _owned(app: str, listing: str, field: str, things: str, is_hidden: bool = False) -> Sequence[Need]:
    """Return what is needed of the access control lists of an app."""

    def read(session: Session, id: str) -> Any:
        return getattr(session, app).acl(id)

    return (
        Need(
            f"read the owner of {things}",
            lambda session: read(session, ID),
            look=_of_first(listing, field, read),
            is_hidden=is_hidden,
        ),
        Need(
            f"set the owner of {things}",
            lambda session: getattr(session, app).set_owner(ID, ID),
            "owners who may create them themselves still do",
            is_hidden=is_hidden,
        ),
    )


WITHOUT_DEPLOYMENTS = "engines have only the tokens that need no deployment"
DEPLOYMENT_CALLS: dict[str, Callable[[Session], Any]] = {
    "list environments": lambda s: s.provisioning.environments(),
    "read an environment": lambda s: s.provisioning.environment(ID),
    "create an environment": lambda s: s.provisioning.create_environment(ID),
    "activate environments": lambda s: s.provisioning.activate_environments([ID]),
    "delete environments": lambda s: s.provisioning.delete_environments([ID]),
    "list engine versions": lambda s: s.provisioning.engine_versions(ID),
    "read an engine version": lambda s: s.provisioning.engine_version(ID),
    "list deployments": lambda s: s.provisioning.deployments(),
    "read a deployment": lambda s: s.provisioning.deployment(ID),
    "create a deployment": lambda s: s.provisioning.create_deployment({}),
    "complete a deployment": lambda s: s.provisioning.complete_deployment(RECORD),
    "start deployments": lambda s: s.provisioning.start_deployments([ID]),
    "delete deployments": lambda s: s.provisioning.delete_deployments([ID]),
    "make an engine's token": lambda s: s.provisioning.engine_token(ID, ID),
}

NEEDS: tuple[Need, ...] = (
    Need("log in", lambda s: s.answer(Request("POST", LOGIN_PATH, "sessions")), releases=(3,)),
    Need("tell the release", _server("/rest/v1/server/info"), "reports name no release"),
    Need(
        "tell the ids of events that subscriptions are for",
        _server("/assets/i18n/en.json"),
        "the seed document's own ids are sent",
    ),
    # security
    Need("tell who is logged in", lambda s: s.security.current_user()),
    Need("list organizations", lambda s: s.security.organizations(), releases=(3,)),
    Need("create an organization", lambda s: s.security.create_organization(ID, ID, ADMIN), releases=(3,)),
    Need(
        "change an organization",
        lambda s: s.security.update_organization(RECORD),
        "teardown deactivates no organization",
        releases=(3,),
    ),
    Need(
        "read an organization's limits",
        lambda s: s.security.configs(ID),
        look=lambda hub, _: hub.security.configs(hub.organization),
    ),
    Need("set an organization's limits", lambda s: s.security.set_configs(ID, {})),
    Need("list roles", lambda s: s.security.roles(), "roles are sent as the seed document names them"),
    Need(
        "list users",
        lambda s: s.security.users(ID),
        look=lambda hub, _: hub.security.users(hub.organization),
    ),
    Need("create a user", lambda s: s.security.create_user(ID, ADMIN), releases=(3,)),
    Need(
        "read a user",
        lambda s: s.security.user(ID, ID),
        "--invite-users cannot be used",
        look=lambda hub, _: hub.security.user(hub.organization, hub.user),
        releases=(4,),
    ),
    Need(
        "invite a user",
        lambda s: s.login_service.invite(ID),
        "--invite-users cannot be used",
        is_hidden=True,
        releases=(4,),
    ),
    Need(
        "remove an invited user",
        lambda s: s.login_service.remove(ID),
        "teardown leaves users",
        is_hidden=True,
        releases=(4,),
    ),
    Need("change a user", lambda s: s.security.update_user(ID, RECORD)),
    Need(
        "delete users",
        lambda s: s.security.delete_users(ID, [ID]),
        "teardown leaves users",
        releases=(3,),
    ),
    Need(
        "list groups",
        lambda s: s.security.groups(ID),
        look=lambda hub, _: hub.security.groups(hub.organization),
    ),
    Need("create a group", lambda s: s.security.create_group(ID, ID, ID, [], [])),
    Need("change a group", lambda s: s.security.update_group(ID, RECORD)),
    Need("delete groups", lambda s: s.security.delete_groups(ID, [ID]), "teardown leaves groups"),
    Need("make engine tokens", lambda s: s.security.create_components(ID, ID, 1)),
    Need(
        "list engine registrations",
        lambda s: s.security.components(ID, ID),
        look=lambda hub, _: hub.security.components(hub.organization, "dc"),
    ),
    Need(
        "delete engine registrations",
        lambda s: s.security.delete_components(ID, [ID]),
        "registrations whose token was lost stay",
    ),
    # provisioning
    *(
        Need(what, make, WITHOUT_DEPLOYMENTS, is_hidden=what == "make an engine's token", releases=(4,))
        for what, make in DEPLOYMENT_CALLS.items()
    ),
    # pipelinestore
    Need("list pipelines", lambda s: s.pipelinestore.pipelines()),
    Need("list fragments", lambda s: s.pipelinestore.fragments()),
    Need(
        "read pipeline commits",
        lambda s: s.pipelinestore.commits([ID]),
        look=_of_first("pipelines", "commitId", lambda hub, id: hub.pipelinestore.commits([id])),
    ),
    Need(
        "import many pipelines in one call",
        lambda s: s.pipelinestore.import_pipelines({}, ID),
        "pipelines are committed one by one",
    ),
    Need("commit a pipeline", lambda s: s.pipelinestore.commit_pipeline(ID, {"pipelineConfig": {}}, ID)),
    Need("publish a pipeline's next version", lambda s: s.pipelinestore.import_new_version(ID, {}, ID)),
    Need(
        "list a pipeline's versions",
        lambda s: s.pipelinestore.log(ID),
        "versions too many are not removed",
        look=_of_first("pipelines", "pipelineId", lambda hub, id: hub.pipelinestore.log(id)),
    ),
    Need(
        "delete a pipeline's version",
        lambda s: s.pipelinestore.delete_commit(ID),
        "versions too many are not removed",
    ),
    Need("delete a pipeline", lambda s: s.pipelinestore.delete_pipeline(ID), "teardown leaves pipelines"),
    *_owned("pipelinestore", "pipelines", "pipelineId", "pipelines"),
    # jobrunner
    Need("list jobs", lambda s: s.jobrunner.jobs()),
    Need("create a job", lambda s: s.jobrunner.create_job({})),
    Need(
        "create many jobs in one call",
        lambda s: s.jobrunner.create_jobs([{}]),
        "jobs are created one by one",
    ),
    Need("change a job", lambda s: s.jobrunner.update_job(RECORD)),
    Need("delete jobs", lambda s: s.jobrunner.delete_jobs([ID]), "teardown leaves jobs"),
    Need("start jobs", lambda s: s.jobrunner.start_jobs([ID])),
    Need(
        "balance jobs over engines",
        lambda s: s.jobrunner.balance_jobs([ID]),
        "psr start-jobs --balance does nothing",
    ),
    Need("stop jobs", lambda s: s.jobrunner.stop_jobs([ID])),
    Need(
        "stop jobs by force",
        lambda s: s.jobrunner.stop_jobs([ID], force=True),
        "teardown waits for jobs whose engines are gone",
    ),
    Need("acknowledge errors of jobs", lambda s: s.jobrunner.acknowledge_errors([ID])),
    Need(
        "read the status of jobs",
        lambda s: s.jobrunner.statuses([ID]),
        look=_of_first("jobs", "id", lambda hub, id: hub.jobrunner.statuses([id])),
    ),
    Need(
        "read the runs of a job",
        lambda s: s.jobrunner.history(ID),
        look=_of_first("jobs", "id", lambda hub, id: hub.jobrunner.history(id)),
    ),
    Need("count jobs by status", lambda s: s.jobrunner.counts(), "psr status does not tell of jobs"),
    Need("list engines", lambda s: s.jobrunner.engines()),
    Need("remove an engine", lambda s: s.jobrunner.delete_engine(ID), "teardown leaves engines"),
    *_owned("jobrunner", "jobs", "id", "jobs"),
    # scheduler
    Need("list scheduled tasks", lambda s: s.scheduler.tasks()),
    Need("begin a scheduled task", lambda s: s.scheduler.type_selector()),
    Need("fill a scheduled task in for a job", lambda s: s.scheduler.task_template({}, ID, ID)),
    Need("create a scheduled task", lambda s: s.scheduler.create_task({})),
    Need("change a scheduled task", lambda s: s.scheduler.update_task(RECORD)),
    Need("delete a scheduled task", lambda s: s.scheduler.delete_task(ID), "teardown leaves scheduled tasks"),
    *_owned("scheduler", "tasks", "id", "scheduled tasks", is_hidden=True),
    # notification
    Need("list subscriptions", lambda s: s.notification.subscriptions()),
    Need("create a subscription", lambda s: s.notification.create_subscription({})),
    Need("change a subscription", lambda s: s.notification.update_subscription(RECORD)),
    Need(
        "delete a subscription",
        lambda s: s.notification.delete_subscription(ID),
        "teardown leaves subscriptions",
    ),
    *_owned("notification", "subscriptions", "id", "subscriptions"),
    # topology
    Need("list topologies", lambda s: s.topology.topologies()),
    Need(
        "read a topology",
        lambda s: s.topology.topology(ID),
        look=_of_first("topologies", "commitId", lambda hub, id: hub.topology.topology(id)),
    ),
    Need("create a topology", lambda s: s.topology.create_topology(ID, [])),
    Need("publish a topology", lambda s: s.topology.publish(ID, ID)),
    Need("delete topologies", lambda s: s.topology.delete_topologies([ID]), "teardown leaves topologies"),
    *_owned("topology", "topologies", "topologyId", "topologies"),
    # connection
    Need("list connections", lambda s: s.connection.connections(), "none are seen"),
    Need(
        "read a connection",
        lambda s: s.connection.connection(ID),
        look=_of_first("connections", "id", lambda hub, id: hub.connection.connection(id)),
    ),
    Need("create a connection", lambda s: s.connection.create_connection({})),
    Need("change a connection", lambda s: s.connection.update_connection(RECORD)),
    Need("delete a connection", lambda s: s.connection.delete_connection(ID), "teardown leaves connections"),
    *_owned("connection", "connections", "id", "connections"),
)


def find_need(method: str, path: str) -> tuple[Need, Call] | None:
    """Return what a request is made for, and its call: of several that fit the one with the fewest ids."""
    fitting = [(need, call) for need in NEEDS for call in need.calls if call.matches(method, path)]
    return min(fitting, key=lambda found: found[1].path.count(ID), default=None)
