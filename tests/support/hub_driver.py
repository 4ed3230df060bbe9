"""The hub driven in-process: sessions of users, and what most tests put into a hub."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from support.fake_engine import FakeEngine
from support.in_process import Answer, Clock, InProcess
from support.vendor import Vendor

from psrlib.hub.runner.background import Background
from psrlib.hub.server import create_app

ROLES = ["user", "org-user", "pipelinestore:pipelineEditor", "jobrunner:operator", "notification:user"]
VENDOR = Vendor()


class Driver(InProcess):
    """Calls the application in-process; the network is not part of these tests."""

    def __init__(
        self, db_url: str, clock: Clock, strict: bool = False, release: int = 3, rate_limit: int = 0
    ) -> None:
        super().__init__(clock)
        self.db_url = db_url
        self.release = release
        self.app = create_app(
            db_url,
            "http://hub.test",
            clock,
            background=False,
            strict=strict,
            release=release,
            rate_limit=rate_limit,
        )

    def close(self) -> None:
        self.app.hub.close()
        self.close_loop()

    @property
    def writer(self) -> Engine:
        """The engine of the hub's only writer, for tests that listen to its statements and commits."""
        with self.app.hub.database.writing() as connection:
            return connection.engine

    def restart(self) -> None:
        """Open the same database in a new application, as after the death of the process."""
        self.app.hub.close()
        self.app = create_app(
            self.db_url, "http://hub.test", self.clock, background=False, release=self.release
        )

    def tick(self, seconds: float = 0) -> None:
        """Let time pass and do what is due."""
        self.clock.advance(seconds)
        background = Background(self.app.hub)
        self.loop.run_until_complete(self.app.hub.write(background.tick))

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

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Requested-By": "test", "X-SS-User-Auth-Token": self.token}

    def call(self, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
        """Call the hub; with ``expect`` check the status and return the JSON, else return the answer."""
        headers = self.headers
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
        headers = self.headers | {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self.driver.raw("POST", path, headers, body)

    def pipeline(self, name: str = "Orders", **constants: str) -> dict[str, Any]:
        """Commit a small pipeline."""
        body = {
            "name": name,
            "commitMessage": "first",
            "pipelineDefinition": json.dumps(pipeline_document(name, constants)),
        }
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

    def engine(self, kind: str = "dc", labels: tuple[str, ...] = ("all",)) -> FakeEngine:
        """Make a token, register an engine and let it poll once."""
        path = f"/security/rest/v1/organization/{self.organization}/components"
        token = self.put(path, {"componentType": kind, "numberOfComponents": 1})[0]["fullAuthToken"]
        engine = FakeEngine(self.driver, token, kind, labels)
        engine.register()
        engine.announce()
        return engine


@dataclass
class Credential(Session):
    """A user with an API credential, as on release 4."""

    id: str

    def call(self, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
        """Call the hub, and hold its answer against the vendor's names and types."""
        answer = super().call(method, path, body)
        if answer.status < 300 and answer.content:
            segments = path.partition("?")[0].strip("/").split("/")
            found = self.driver.app.router.find(method, segments)
            assert found is not None
            faults = VENDOR.faults(found[0], answer.content)
            assert not faults, (method, path, faults)
        if expect is None:
            return answer
        assert answer.status == expect, (method, path, answer.status, answer.content)
        return answer.json()

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-Requested-By": "test",
            "X-SS-App-Component-Id": self.id,
            "X-SS-App-Auth-Token": self.token,
        }


def new_credential(admin: Session, user: str) -> Credential:
    """Make an API credential of a user."""
    path = f"/security/rest/v1/organization/{user.split('@')[1]}/api-user-credentials"
    made = admin.post(path, {"label": "test", "generateAuthToken": True, "active": True, "userId": user})
    return Credential(admin.driver, user, made["authToken"], made["componentId"])


def sign_up(admin: Session, name: str) -> Credential:
    """Create an organization at a hub of release 4; return its administrator."""
    body = {
        "organization": {"id": "any", "name": name, "primaryAdminId": "any"},
        "organizationAdminUser": {
            "id": "any",
            "name": "Administrator",
            "email": f"admin@{name}.example",
            "roles": ["user", "org-admin"],
        },
    }
    made = admin.put("/security/rest/v1/organizations", body)
    return new_credential(admin, made["primaryAdminId"])


def pipeline_document(name: str, constants: dict[str, str]) -> dict[str, Any]:
    """Return the definition of a pipeline without stages."""
    return {
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
