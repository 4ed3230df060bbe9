"""The hub as a process of its own: start, stop, sudden death, snapshots."""

import os
import shutil
import signal
import socket
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from click.testing import CliRunner
from sqlalchemy.engine import make_url
from support.hub_driver import Driver, create_organization
from support.in_process import Clock
from support.postgres import Postgres

from psrlib.cli.hub import hub as command
from psrlib.errors import InputError, ProcessError
from psrlib.hub import DATABASE_VARIABLE
from psrlib.hub.process.hub_process import find_database, find_hub, start_hub, stop_hub
from psrlib.hub.process.snapshots import restore_snapshot, save_snapshot
from psrlib.run import check_embedded, open_to_read

LOGIN = "/security/public-rest/v1/authentication/login"


def login(url: str, user: str = "admin@admin") -> requests.Session:
    session = requests.Session()
    session.headers["X-Requested-By"] = "test"
    answer = session.post(url + LOGIN, json={"userName": user, "password": user}, timeout=30)
    answer.raise_for_status()
    session.headers["X-SS-User-Auth-Token"] = answer.headers["X-SS-User-Auth-Token"]
    return session


def put_organization(session: requests.Session, url: str, org: str) -> requests.Response:
    body = {
        "organization": {"id": org, "name": org, "primaryAdminId": f"admin@{org}"},
        "organizationAdminUser": {"id": f"admin@{org}", "name": "A", "roles": ["user", "org-admin"]},
    }
    return session.put(url + "/security/rest/v1/organizations", json=body, timeout=30)


def organizations(session: requests.Session, url: str) -> set[str]:
    answer = session.get(url + "/security/rest/v1/organizations", timeout=30)
    return {row["id"] for row in answer.json()}


def test_the_hub_starts_once_per_folder_and_stops(tmp_path: Path) -> None:
    """A second start returns the running hub; after the stop nothing answers; it listens on loopback."""
    first = start_hub(tmp_path)
    try:
        assert first.url.startswith("http://127.0.0.1:")
        assert start_hub(tmp_path).pid == first.pid
        assert requests.get(first.url + "/public-rest/v1/health", timeout=5).json() == {"status": "alive"}
    finally:
        assert stop_hub(tmp_path)
    assert find_hub(tmp_path) is None
    assert not stop_hub(tmp_path)
    assert start_hub(tmp_path).url == first.url
    stop_hub(tmp_path)


def test_a_connection_outlives_the_wait_between_two_polls(tmp_path: Path) -> None:
    """Engines wait 5 s after an answer, then poll on the same connection."""
    with start_hub(tmp_path) as hub:
        connection = HTTPConnection(hub.url.removeprefix("http://"), timeout=10)
        for wait_s in (5.5, 0):
            connection.request("GET", "/public-rest/v1/health")
            assert connection.getresponse().read()
            used = connection.sock
            time.sleep(wait_s)
        assert connection.sock is used
        connection.close()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """One clear sentence, and nothing is left running."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ProcessError, match=f"cannot listen on 127.0.0.1:{port}"):
            start_hub(tmp_path, port=port)
    assert find_hub(tmp_path) is None


def test_a_wrong_database_is_named(tmp_path: Path) -> None:
    """The process ends at start and its last words are in the error."""
    (tmp_path / "hub.db").write_text("this is no database, " * 100)
    with pytest.raises(ProcessError, match="cannot be opened"):
        start_hub(tmp_path)


def test_sudden_death_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """SIGKILL in the middle of creating: every organization with an answer is there after the restart."""
    hub = start_hub(tmp_path)
    answered: list[str] = []

    def create() -> None:
        session = login(hub.url)
        for number in range(500):
            try:
                if put_organization(session, hub.url, f"org{number}").status_code == 200:
                    answered.append(f"org{number}")
            except requests.RequestException:
                return

    worker = threading.Thread(target=create)
    worker.start()
    deadline = time.monotonic() + 30
    while len(answered) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker.is_alive()  # the hub dies in the middle
    os.kill(hub.pid, signal.SIGKILL)
    worker.join()
    with start_hub(tmp_path) as again:
        assert again.pid != hub.pid
        found = organizations(login(again.url), again.url)
    assert set(answered) <= found
    assert len(found) <= len(answered) + 2  # the system organization, and the one in flight


def test_sessions_and_tokens_survive_sudden_death(tmp_path: Path) -> None:
    """A client goes on with the token it has."""
    hub = start_hub(tmp_path)
    session = login(hub.url)
    os.kill(hub.pid, signal.SIGKILL)
    with start_hub(tmp_path) as again:
        assert again.url == hub.url
        assert organizations(session, again.url) == {"admin"}


def test_a_snapshot_brings_the_state_back(tmp_path: Path) -> None:
    """Saved while the hub runs; restored, the hub runs again on its port with the state of then."""
    with start_hub(tmp_path) as hub:
        session = login(hub.url)
        put_organization(session, hub.url, "before")
        assert save_snapshot(tmp_path).name == "populated.db"
        put_organization(session, hub.url, "after")
        again = restore_snapshot(tmp_path)
        assert again is not None
        assert again.url == hub.url
        assert organizations(session, again.url) == {"admin", "before"}


def test_snapshots_of_postgresql_go_both_ways(tmp_path: Path, postgres: Postgres) -> None:
    """Rows are copied out to SQLite and in again; counters go on behind the copied rows."""
    url = postgres.create()
    driver = Driver(url, Clock())
    acme = create_organization(driver.login("admin@admin"), "acme")
    engine, job = acme.engine(), acme.job()
    acme.start(job)
    save_snapshot(tmp_path, "pg", url)
    acme.post(f"/jobrunner/rest/v1/job/{job['id']}/forceStop")
    create_organization(driver.login("admin@admin"), "other")
    driver.app.hub.close()
    assert restore_snapshot(tmp_path, "pg", url) is None
    fresh = Driver(url, driver.clock)
    acme.driver = engine.driver = fresh
    assert acme.status(job)["status"] == "ACTIVATING"
    assert [event["eventTypeId"] for event in engine.poll()] == [1001, 1003]
    acme.start(acme.job("second"))
    assert len(acme.get("/security/rest/v1/organization/acme/users/listLogins")) == 1
    fresh.close()
    driver.close_loop()


def test_a_hub_on_postgresql_is_found_again(tmp_path: Path, postgres: Postgres) -> None:
    """By the URL of its last start, without a word of it, in snapshots too; nothing of it is on SQLite."""
    url = make_url(postgres.create())._replace(password=None).render_as_string()
    with start_hub(tmp_path, db_url=url) as hub:
        put_organization(login(hub.url), hub.url, "before")
    assert find_database(tmp_path) == url
    assert save_snapshot(tmp_path).exists()
    with open_to_read(tmp_path) as read:
        assert {row["id"] for row in read.security.organizations()} == {"admin", "before"}
    check_embedded(tmp_path)
    with start_hub(tmp_path) as hub:
        session = login(hub.url)
        assert organizations(session, hub.url) == {"admin", "before"}
        put_organization(session, hub.url, "after")
        again = restore_snapshot(tmp_path)
        assert again is not None
        assert organizations(login(again.url), again.url) == {"admin", "before"}
    assert not list(tmp_path.glob("hub.db*"))


def test_a_password_of_the_database_is_kept_nowhere_and_asked_for(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the folder nor in the list of processes; the variable tells it, for this database only."""
    url = make_url(postgres.create()).set(password="s3cret").render_as_string(hide_password=False)
    monkeypatch.delenv(DATABASE_VARIABLE, raising=False)
    with start_hub(tmp_path, db_url=url) as hub:
        assert "s3cret" not in " ".join(psutil.Process(hub.pid).cmdline())
        for file in tmp_path.iterdir():
            assert b"s3cret" not in file.read_bytes()
        assert find_hub(tmp_path) is not None
    other = make_url(url).set(database="other").render_as_string(hide_password=False)
    for given in ("", "nonsense", "sqlite:///x.db", other):
        monkeypatch.setenv(DATABASE_VARIABLE, given)
        with pytest.raises(InputError, match=f"{DATABASE_VARIABLE} to this URL with the password") as refused:
            start_hub(tmp_path)
        assert "s3cret" not in str(refused.value)
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    with start_hub(tmp_path) as hub:
        assert organizations(login(hub.url), hub.url) == {"admin"}
    with start_hub(tmp_path / "another") as hub:
        assert (tmp_path / "another" / "hub.db").exists()


def test_a_folder_that_was_copied_has_a_database_of_its_own(tmp_path: Path) -> None:
    """Its record names the file of the folder that it was copied from; another name is another place."""
    with start_hub(tmp_path / "run"):
        pass
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert find_database(tmp_path / "copy") == f"sqlite:///{tmp_path / 'copy' / 'hub.db'}"
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    with start_hub(tmp_path / "named", db_url=elsewhere):
        pass
    assert find_database(tmp_path / "named") == elsewhere


def test_a_missing_snapshot_is_named(tmp_path: Path) -> None:
    """The names of those that exist are in the error; a name cannot leave the folder."""
    with pytest.raises(InputError, match="present: none"):
        restore_snapshot(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        save_snapshot(tmp_path)
    with pytest.raises(InputError, match="expected letters"):
        save_snapshot(tmp_path, "../outside")


def test_the_command_starts_saves_and_stops(tmp_path: Path) -> None:
    """``psr hub`` start, snapshot, restore and stop print one line each."""
    run = CliRunner().invoke
    folder = ["--run-dir", str(tmp_path)]
    try:
        assert "embedded hub: http://127.0.0.1:" in run(command, ["start", *folder, "--port", "0"]).output
        assert "saved: " in run(command, ["snapshot", *folder]).output
        assert "runs again at" in run(command, ["restore", *folder]).output
    finally:
        assert run(command, ["stop", *folder]).output == "stopped\n"
    assert run(command, ["stop", *folder]).output.startswith("no hub runs")


def test_requests_that_come_in_one_packet_are_answered_in_order(tmp_path: Path) -> None:
    """Pipelined requests (RFC 9112, 9.3.2), the last of which closes the connection."""
    with start_hub(tmp_path) as hub:
        parts = urlsplit(hub.url)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as raw:
            one = b"GET /public-rest/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
            last = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            raw.sendall(one + one + last)
            received = b""
            while part := raw.recv(65536):
                received += part
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.rindex(b"HTTP/1.1 501") > received.rindex(b"HTTP/1.1 200 OK")
    assert received.endswith(b"}")
