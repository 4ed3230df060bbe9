"""Hubs that differ from the embedded one where the reference is unsure are populated all the same."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import orjson
import pytest

from psrlib.client import ControlHub
from psrlib.client.apps.connection import Connections
from psrlib.client.apps.notification import Notification
from psrlib.client.apps.scheduler import Scheduler
from psrlib.client.apps.topology import Topologies
from psrlib.errors import HubError
from psrlib.hub.apps.pipelinestore import archives as pipelinestore_archives
from psrlib.hub.security.roles import ROLES
from psrlib.seed import SeedDocument
from psrlib.state import diff, observe, populate

Connect = Callable[..., ControlHub]
Serve = Callable[[Callable[[Any], Any]], str]
TASKS = "/scheduler/rest/v2/jobs/pageId=SchedulerJobManagePage"
LOGIN = "/security/public-rest/v1/authentication/login"


class Variant:
    """The embedded hub with some calls missing, and logins only for users whose record was updated.

    Parameters
    ----------
    app : ASGI application
    absent : tuple of str
        Ends of paths that this hub does not serve; it answers them as ``status`` without error envelope.
    strict : bool
        Refuse the login of users whose password still counts as generated, whatever their creation said.
    """

    def __init__(
        self, app: Any, absent: tuple[str, ...] = (), status: int = 404, strict: bool = False
    ) -> None:
        self._app = app
        self._absent = absent
        self._status = status
        self._strict = strict
        self._updated = {"admin@admin"}
        self.refused: list[str] = []

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if self._absent and path.endswith(self._absent):
            self.refused.append(path)
            await self._answer(send, self._status)
            return
        if self._strict and scope["method"] == "POST" and "/user/" in path:
            self._updated.add(path.rpartition("/")[2])
        if self._strict and path == LOGIN:
            message = await receive()
            user = orjson.loads(message["body"])["userName"]
            if user not in self._updated:
                self.refused.append(user)
                await self._answer(send, 403)
                return
            receive = _once(message, receive)
        await self._app(scope, receive, send)

    async def _answer(self, send: Any, status: int) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def _once(message: Any, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    messages = [message]

    async def replay() -> Any:
        return messages.pop() if messages else await receive()

    return replay


def assert_populated(document: SeedDocument, hub: ControlHub) -> dict[str, int]:
    report = populate(document, hub, progress=False)
    difference = diff(document, observe(document, hub), runtime=False)
    assert not difference, difference.frame().to_string()
    return report.calls


@pytest.mark.parametrize("status", [404, 405, 501])
def test_without_bulk_creation_of_jobs(
    status: int, rich: SeedDocument, serve: Serve, connect: Connect
) -> None:
    """The bulk call is tried once; then each job is one call."""
    variants: list[Variant] = []

    def wrap(app: Any) -> Variant:
        variants.append(Variant(app, ("/jobs/createJobs",), status))
        return variants[0]

    with connect(serve(wrap), workers=1) as hub:
        calls = assert_populated(rich, hub)
    assert len(variants[0].refused) == 1
    assert calls["jobs"] == sum(len(o.jobs) for o in rich.organizations) + 1


def test_without_import_of_archives(rich: SeedDocument, serve: Serve, connect: Connect) -> None:
    """Pipelines are committed one by one, versions through the call for a new version."""
    with connect(serve(lambda app: Variant(app, ("/pipelines/importPipelineCommits",)))) as hub:
        assert_populated(rich, hub)


def test_where_an_imported_document_is_always_a_new_pipeline(
    rich: SeedDocument, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe's mistake is deleted, and versions go through the call for a new version."""
    monkeypatch.setattr(pipelinestore_archives, "named_pipeline", lambda definition: "")
    with connect() as hub:
        assert_populated(rich, hub)


def test_where_generated_passwords_do_not_log_in(rich: SeedDocument, serve: Serve, connect: Connect) -> None:
    """The vendor's bootstrap opens administrators; owners who cannot log in become owners through ACLs."""
    variants: list[Variant] = []

    def wrap(app: Any) -> Variant:
        variants.append(Variant(app, strict=True))
        return variants[0]

    with connect(serve(wrap), workers=1) as hub:
        calls = assert_populated(rich, hub)
    administrators = [user for user in variants[0].refused if user.startswith("admin@")]
    assert len(administrators) == 1
    assert calls["owners"] > 0


def test_without_connections(rich: SeedDocument, serve: Serve, connect: Connect) -> None:
    """Before 3.19 the app is missing; a document without connections is populated as ever."""

    organizations = [
        msgspec.structs.replace(
            o, connections=[], pipelines=[msgspec.structs.replace(p, connection=None) for p in o.pipelines]
        )
        for o in rich.organizations
    ]
    document = msgspec.structs.replace(rich, organizations=organizations)
    with connect(serve(lambda app: Variant(app, ("/connection/rest/v1/connections",)))) as hub:
        assert_populated(document, hub)
        assert populate(document, hub, progress=False).created == {}


def test_a_role_the_hub_does_not_know_is_left_out(
    rich: SeedDocument, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some role ids came with later releases; without them users are created, and none is missed."""
    administrator = rich.organizations[0].users[0]
    assert "connection:editor" in administrator.roles
    monkeypatch.delitem(ROLES, "connection:editor")
    with connect() as hub:
        assert_populated(rich, hub)
        found = {row["id"]: row["roles"] for row in hub.security.users(rich.organizations[0].id)}
    assert "connection:editor" not in found[administrator.id]


def test_where_each_task_needs_a_template_of_its_own(
    rich: SeedDocument, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that issues task ids with its templates is asked for one per task."""
    asked: list[str] = []
    plain = Scheduler.task_template

    def with_id(self: Scheduler, selector: Any, job_id: str, job_name: str) -> Any:
        asked.append(job_id)
        return {**plain(self, selector, job_id, job_name), "id": {"value": f"issued-{len(asked)}"}}

    monkeypatch.setattr(Scheduler, "task_template", with_id)
    with connect() as hub:
        assert_populated(rich, hub)
    assert len(asked) == sum(len(o.scheduled_tasks) for o in rich.organizations)


def test_where_creations_are_answered_without_a_record(
    rich: SeedDocument, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was made is found in the listing: its id is needed for its owner and for what refers to it."""
    answered: list[str] = []

    def silence(app: type, call: str) -> None:
        plain = getattr(app, call)

        def silent(*arguments: Any) -> Any:
            plain(*arguments)
            answered.append(call)
            return {}

        monkeypatch.setattr(app, call, silent)

    silence(Connections, "create_connection")
    silence(Notification, "create_subscription")
    silence(Topologies, "create_topology")
    with connect() as hub:
        assert_populated(rich, hub)
    organizations = rich.organizations
    n_made = sum(len(o.connections) + len(o.subscriptions) + len(o.topologies) for o in organizations)
    assert len(answered) == n_made


def test_a_refusal_inside_an_answer_names_entity_and_organization(
    rich: SeedDocument, serve: Serve, connect: Connect
) -> None:
    """The scheduler refuses with status 200 and success false: an error with its words, not a lost answer."""
    refusal = {"response": {"success": False, "data": None, "messages": [{"message": "quota of tasks"}]}}
    body = orjson.dumps(refusal)

    def wrap(app: Any) -> Any:
        async def refusing(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or (scope["method"], scope["path"]) != ("PUT", TASKS):
                await app(scope, receive, send)
                return
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return refusing

    organization = rich.organizations[0]
    one = msgspec.structs.replace(rich, organizations=[organization])
    with connect(serve(wrap)) as hub, pytest.raises(HubError) as caught:
        populate(one, hub, progress=False)
    names = {task.name for task in organization.scheduled_tasks}
    found = re.fullmatch(
        rf'{organization.id}: scheduled task "(.*)": PUT {TASKS} was refused with status 200: quota of tasks',
        str(caught.value),
    )
    assert found
    assert found[1] in names
    assert hub.calls.by_kind()["scheduled tasks"] < 4 + len(names)
