"""One hub process under attack from loopback: its health answers meanwhile, its memory stays, it lives on.

Every attack is bounded in count and time. The bounds are generous, for the machine may be busy: what they
are to catch stalls the hub for seconds, or fills gigabytes.
"""

import io
import json
import socket
import statistics
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import cramjam
import psutil
import pytest
import requests

from psrlib.hub.process import connection
from psrlib.hub.process.hub_process import start_hub

HEALTH = "/public-rest/v1/health"
LOGIN = "/security/public-rest/v1/authentication/login"
IMPORT = "/pipelinestore/rest/v1/pipelines/importPipelineCommits"
JOBS = "/jobrunner/rest/v1/jobs"
MARKER = {"X-Requested-By": "test"}
HEALTHY_S = 0.5
MEMORY_BYTES = 300_000_000


@dataclass
class Target:
    """The hub, and an administrator of an organization on it."""

    url: str
    pid: int
    headers: dict[str, str]
    engine: dict[str, str]

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        """Send a request on a new connection and return the status; 0 for an answer that was cut off."""
        parts = urlsplit(self.url)
        line = HTTPConnection(parts.hostname or "", parts.port or 0, timeout=60)
        try:
            line.request(method, path, body, headers)
            answer = line.getresponse()
            answer.read()
            return answer.status
        except (OSError, HTTPException):
            return 0
        finally:
            line.close()

    def as_user(self, method: str, path: str, body: bytes = b"", **headers: str) -> int:
        return self.call(method, path, body, **self.headers, **headers)

    def open(self, said: bytes = b"") -> socket.socket:
        """Open a connection and say something on it."""
        parts = urlsplit(self.url)
        line = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=60)
        with suppress(ConnectionError):  # the hub may have heard enough before the end
            line.sendall(said)
        return line


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with start_hub(tmp_path_factory.mktemp("attacked")) as hub:
        with requests.Session() as session:
            session.headers.update(MARKER)

            def log_in(user: str) -> str:
                answer = session.post(hub.url + LOGIN, json={"userName": user, "password": user}, timeout=30)
                return answer.headers["X-SS-User-Auth-Token"]

            session.headers["X-SS-User-Auth-Token"] = log_in("admin@admin")
            body = {
                "organization": {"id": "acme", "name": "acme", "primaryAdminId": "admin@acme"},
                "organizationAdminUser": {"id": "admin@acme", "name": "A", "roles": ["user", "org-admin"]},
            }
            session.put(hub.url + "/security/rest/v1/organizations", json=body, timeout=30)
            session.headers["X-SS-User-Auth-Token"] = log_in("admin@acme")
            path = "/security/rest/v1/organization/acme/components"
            made = session.put(
                hub.url + path, json={"componentType": "dc", "numberOfComponents": 1}, timeout=30
            )
            token = made.json()[0]["fullAuthToken"]
            body = {"authToken": token, "componentId": "engine", "attributes": {}}
            session.post(hub.url + "/security/public-rest/v1/components/registration", json=body, timeout=30)
            headers = {str(k): str(v) for k, v in session.headers.items() if k.lower().startswith("x-")}
        engine = MARKER | {"X-SS-App-Component-Id": "engine", "X-SS-App-Auth-Token": token}
        yield Target(hub.url, hub.pid, headers, engine)


class Watch:
    """Asks for the hub's health again and again, and looks at its memory, while something else goes on."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.waits_s: list[float] = []
        self.process = psutil.Process(target.pid)
        self.most_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set() or len(self.waits_s) < 5:
            begun = time.perf_counter()
            assert self.target.call("GET", HEALTH) == 200
            self.waits_s.append(time.perf_counter() - begun)
            self.most_bytes = max(self.most_bytes, self.process.memory_info().rss)
            time.sleep(0.01)

    def check(self) -> None:
        """The hub was well: most answers in time, and none so late that the rest of the machine is no reason.

        The attackers run on the same processors as the hub and this thread; a stall of its own shows in all.
        """
        assert len(self.waits_s) >= 5
        assert statistics.median(self.waits_s) < HEALTHY_S
        assert max(self.waits_s) < 10 * HEALTHY_S
        assert self.most_bytes < MEMORY_BYTES


def attack(target: Target, *strikes: Callable[[], object], times: int = 20) -> list[object]:
    """Strike from eight threads, the watch looking; return what each strike gave."""
    with Watch(target) as watch, ThreadPoolExecutor(8) as pool:
        given = [
            future.result() for future in [pool.submit(strike) for _ in range(times) for strike in strikes]
        ]
    watch.check()
    return given


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(f"{name}.json", content)
    return buffer.getvalue()


def multipart(content: bytes) -> tuple[bytes, dict[str, str]]:
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
    return head + content + b"\r\n--B--\r\n", {"Content-Type": "multipart/form-data; boundary=B"}


def test_backslashes_in_a_cookie(target: Target) -> None:
    """20 kB of them took 1.2 s of the only thread, and anybody could send them."""
    for cookie in ('SS-SSO-LOGIN="' + "\\" * 20_000, "a=" + '"\\' * 10_000, "SS-SSO-LOGIN=" * 1500):
        path = "/security/rest/v1/currentUser"
        statuses = attack(target, lambda c=cookie, p=path: target.call("GET", p, **MARKER, Cookie=c))
        assert set(statuses) == {401}


def test_snappy_that_unpacks_to_gigabytes(target: Target) -> None:
    """1.4 MB that stand for 30 MB, which is let in and is no JSON; 5 MB for 100 MB, which is not let in."""
    snappy = {"Content-Encoding": "snappy"}
    path = "/timeseries/rest/v1/metrics"
    for size, status in ((30_000_000, 400), (100_000_000, 413)):
        body = bytes(cramjam.snappy.compress(b" " * (size - 1) + b"x"))
        strike = lambda b=body: target.call("POST", path, b, **target.engine, **snappy)  # noqa: E731
        assert set(attack(target, strike, times=16)) <= {status, 0}


@pytest.mark.parametrize(
    "make",
    [
        lambda: archive(one=b" " * 200_000_000),
        lambda: archive(
            **{f"n{n}": b'{"pipelineConfig": {"title": "x"}}' + b" " * 15_000_000 for n in range(8)}
        ),
        lambda: archive(one=b'{"pipelineConfig": {"title": "x", "stages": [' + b"{}," * 240_000 + b"0]}, "),
        lambda: archive(
            one=b'{"pipelineConfig": {"title": "x", "stages": ' + b"[" * 900 + b"]" * 900 + b"}}"
        ),
        lambda: b"PK" + b"\r\n--" * 1_000_000,
    ],
    ids=["one entry", "many entries", "many members", "deep", "boundaries"],
)
def test_an_archive_that_unpacks_to_much(target: Target, make: Callable[[], bytes]) -> None:
    """A kilobyte of zip is a megabyte of JSON, and that is a hundred of memory."""
    body, headers = multipart(make())
    statuses = attack(target, lambda: target.as_user("POST", IMPORT, body, **headers), times=12)
    assert set(statuses) <= {400, 413, 0}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{JOBS}/deleteJobs", json.dumps([f"{n}:acme" for n in range(200_000)]).encode()),
        (f"{JOBS}/deleteJobs", json.dumps([f"{n}:acme" for n in range(20_000)]).encode()),
        (f"{JOBS}/importJobsFromJson", b"[" + b'{"a":"b","c":1.5},' * 240_000 + b"{}]"),
        (f"{JOBS}/importJobsFromJson", b"[" * 1_000_000),
        ("/jobrunner/rest/v1/jobs/importJobsFromJson", b"[" + b"0," * 15_000_000 + b"0]"),
    ],
    ids=["200,000 ids", "20,000 ids", "objects", "deep", "numbers"],
)
def test_a_body_with_too_much_in_it(target: Target, path: str, body: bytes) -> None:
    """Long lists, nested ones, and millions of values: refused, and nobody waits for it."""
    statuses = attack(target, lambda: target.as_user("POST", path, body), times=12)
    assert set(statuses) <= {400, 404, 413, 0}


@pytest.mark.parametrize("n_slashes", [60_000, 4_000_000])
def test_backslashes_in_what_an_engine_says(target: Target, n_slashes: int) -> None:
    """A run of them and a NUL character elsewhere: 60 kB took 100 s of the only thread."""
    body = b'[{"a":"' + b"\\" * n_slashes + b'x\\u0000"}]'
    path = "/messaging/rest/v1/events"
    assert set(attack(target, lambda: target.call("POST", path, body, **target.engine), times=8)) == {400}


def test_one_thing_asked_for_many_times(target: Target) -> None:
    """An answer is bounded as a body is: 2.5 GB came of one pipeline of 8 MB, named 300 times."""
    definition = {"title": "big", "uiInfo": {"d": "d" * 8_000_000}, "stages": [], "configuration": []}
    body = {"name": "big", "pipelineDefinition": json.dumps(definition)}
    path = f"{target.url}/pipelinestore/rest/v1/pipelines"
    commit = requests.put(path, json=body, headers=target.headers, timeout=30).json()["commitId"]
    many, few = (json.dumps([commit] * n).encode() for n in (300, 2))
    paths = [
        f"/pipelinestore/rest/v1/{name}" for name in ("pipelines/exportPipelineCommits", "pipelineCommit")
    ]
    assert [target.as_user("POST", path, few) for path in paths] == [200, 200]
    assert set(attack(target, *(lambda p=p: target.as_user("POST", p, many) for p in paths), times=4)) == {
        413
    }
    copies = b'{"namePrefix": "copy", "numberOfCopies": 1000}'
    path = f"/pipelinestore/rest/v1/pipelineCommit/{commit}/duplicate"
    assert attack(target, lambda: target.as_user("POST", path, copies), times=2) == [413, 413]


def test_a_subscription_that_takes_long(target: Target) -> None:
    """A condition of a million parts, 20,000 events: each change of a job's status waited 36 s for them."""
    for events in (
        [{"eventType": "JOB_STATUS_CHANGE"}] * 20_000,
        [{"eventType": "JOB_STATUS_CHANGE", "filter": "||".join(["JOB_ID=='x'"] * 1_000_000)}],
    ):
        action = {"eventType": "WEBHOOKV1", "config": '{"uri": "http://127.0.0.1:9/"}'}
        body = json.dumps({"name": "s", "events": events, "externalActions": [action]}).encode()
        path = "/notification/rest/v1/eventsub/createEventSub"
        assert attack(target, lambda b=body, p=path: target.as_user("PUT", p, b), times=2) == [400, 400]


def test_text_to_be_searched_for(target: Target) -> None:
    """All wildcards, as long as it may be, and longer."""
    paths = [f"{JOBS}?organization=acme&filterText={text}" for text in ("%25" * 4000, "_" * 60_000)]
    statuses = attack(target, *(lambda p=path: target.as_user("GET", p) for path in paths), times=40)
    assert set(statuses) <= {200, 400}


def test_wrong_passwords(target: Target) -> None:
    """A thousand guesses cost the hub a few hashes; who knows the password of another user logs in."""
    body = json.dumps({"userName": "guessed@acme", "password": "wrong"}).encode()
    statuses = attack(target, lambda: target.call("POST", LOGIN, body, **MARKER), times=1000)
    assert set(statuses) == {401, 429}
    assert statuses.count(401) < 20
    right = json.dumps({"userName": "admin@acme", "password": "admin@acme"}).encode()
    assert target.call("POST", LOGIN, right, **MARKER) == 200


def test_requests_that_are_none(target: Target) -> None:
    """Heads without end, more headers than fit, another protocol: 400 or the end of the connection."""
    garbage = [
        b"\x16\x03\x01" * 1000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 40_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 5_000_000,
    ]

    def strike(said: bytes) -> bytes:
        try:
            with target.open(said) as line:
                return line.recv(15)
        except OSError:
            return b""

    given = attack(target, *(lambda s=said: strike(s) for said in garbage), times=20)
    assert set(given) <= {b"HTTP/1.1 400 Ba", b""}


def ended(line: socket.socket) -> bool:
    """Whether the hub has ended a connection; waits as long as that may take."""
    line.settimeout(connection.HEAD_S + 15)
    try:
        return line.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_connections_that_say_nothing_or_half(target: Target) -> None:
    """500 of each kind do not keep the hub from answering, and are ended; one that drips its head too."""
    half = b"GET /public-rest/v1/health HTTP/1.1\r\nHost: localhost\r\n"
    lines = [target.open(said) for _ in range(500) for said in (b"", half)]
    drip, begun = target.open(half), time.monotonic()
    with Watch(target) as watch:
        while time.monotonic() - begun < connection.HEAD_S + 5:
            try:
                drip.sendall(b"X: y\r\n")
            except OSError:
                break
            time.sleep(0.5)
        assert time.monotonic() - begun < connection.HEAD_S + 5
        assert all(ended(line) for line in lines)
    watch.check()
    for line in [*lines, drip]:
        line.close()


def test_bodies_that_do_not_come(target: Target) -> None:
    """Large ones that were announced take no memory and no turn of small ones."""
    head = (
        f"POST {JOBS}/deleteJobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in target.headers.items())
        + "\r\n["
    ).encode()
    lines = [target.open(head) for _ in range(50)]
    with Watch(target) as watch:
        statuses = [target.as_user("POST", f"{JOBS}/deleteJobs", b'["x"]') for _ in range(20)]
    watch.check()
    assert set(statuses) == {404}
    for line in lines:
        line.close()


def test_the_hub_still_works_and_its_log_is_short(target: Target, tmp_path: Path) -> None:
    """After all that: a login, and no word in the log for each thing that was refused."""
    right = json.dumps({"userName": "admin@admin", "password": "admin@admin"}).encode()
    assert target.call("POST", LOGIN, right, **MARKER) == 200
    log = Path(psutil.Process(target.pid).open_files()[0].path).parent / "hub.log"
    assert log.exists()
    assert log.stat().st_size < 20_000
