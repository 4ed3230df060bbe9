"""The fleet as a process of its own, against a recorder that speaks HTTP, with faults on the wire."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from support.fleet_fakes import base_event, identity, save_event
from support.fleet_recorder import EVENTS, METRICS, REGISTRATION, Recorder
from support.ports import free_port
from support.waiting import wait_for

from psrlib.engines import fleet_status, save_identities, start_fleet, stop_fleet
from psrlib.engines.fleet_process import LOG, RECORD
from psrlib.errors import InputError, ProcessError

INTERVAL_S = 0.2


class HttpRecorder:
    """A recorder behind a real socket; status 0 in ``faults`` resets the connection, -1 answers late."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, auto_decompress=False)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            status, text = self.recorder.take(
                request.path, dict(request.headers), body or None, int(time.time() * 1000)
            )
        except AssertionError:
            return web.Response(status=500)  # kept in ``violations``
        if status == 0:
            assert request.transport is not None
            request.transport.abort()
            raise ConnectionResetError
        if status == -1:
            await asyncio.sleep(1.0)
            status = 500
        return web.Response(status=status, body=text, content_type="application/json" if text else None)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def served() -> Iterator[HttpRecorder]:
    recorder = Recorder(
        {identity(n).id: identity(n).token for n in range(3)}, interval_ms=int(INTERVAL_S * 1000) - 20
    )
    server = HttpRecorder(recorder)
    yield server
    server.stop()


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """A run directory with three engines; its fleet is stopped at the end."""
    save_identities(tmp_path, [identity(n) for n in range(3)])
    yield tmp_path
    stop_fleet(tmp_path)


def post(url: str) -> int:
    request = urllib.request.Request(url, data=b'{"event":"x"}', method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return int(answer.status)


def test_a_fleet_runs_jobs_through_faults_and_restarts_as_the_same_engines(
    run_dir: Path, served: HttpRecorder
) -> None:
    """Resets, 503, 500, late answers: nothing is lost; after SIGKILL and start it is the same fleet."""
    recorder = served.recorder
    recorder.faults[REGISTRATION].extend([0])
    recorder.faults[EVENTS].extend([0, 503, -1, 500] * 5)
    recorder.faults[METRICS].extend([0, 503])
    for number in range(3):
        name = f"Orders:{number}:org-0001"
        recorder.put(identity(number).id, 1001, save_event(name))
        recorder.put(identity(number).id, 1003, base_event(name))
    fleet = start_fleet(run_dir, served.url, poll_interval_s=INTERVAL_S)
    wait_for(lambda: sum("RUNNING" in seen.states.values() for seen in recorder.engines.values()) == 3)
    wait_for(lambda: sum(len(seen.acks) for seen in recorder.engines.values()) == 6)
    assert fleet_status(run_dir)["pipelines_running"] == 3
    time.sleep(0.7)  # the state is written twice a second
    os.kill(fleet.pid, signal.SIGKILL)
    wait_for(lambda: not fleet_status(run_dir)["running"])
    registered = len([r for r in recorder.requests if r.path == REGISTRATION])
    start_fleet(run_dir, served.url, poll_interval_s=INTERVAL_S)
    wait_for(lambda: fleet_status(run_dir)["pipelines_running"] == 3)
    wait_for(lambda: sum("RUNNING" in seen.states.values() for seen in recorder.engines.values()) == 3)
    again = [r for r in recorder.requests if r.path == REGISTRATION][registered:]
    assert {r.component for r in again} == {identity(n).id for n in range(3)}
    assert [violation for violation in recorder.violations if "poll period" not in violation] == []


def test_webhooks_are_counted_and_the_count_survives_a_restart(run_dir: Path, served: HttpRecorder) -> None:
    """The sink answers on the loopback address that the seed document names."""
    sink = f"http://127.0.0.1:{free_port()}/webhook"
    start_fleet(run_dir, served.url, sink)
    assert [post(sink), post(sink + "/org-0001/task")] == [200, 200]
    with pytest.raises(urllib.error.HTTPError):
        post(sink.replace("/webhook", "/elsewhere"))
    assert fleet_status(run_dir)["webhooks_received"] == 2
    stop_fleet(run_dir)
    start_fleet(run_dir, served.url, sink)
    assert fleet_status(run_dir)["webhooks_received"] == 2


def test_status_and_prometheus_text_tell_the_same(run_dir: Path, served: HttpRecorder) -> None:
    """Registered, polling, pipelines by state, errors."""
    fleet = start_fleet(run_dir, served.url)
    text = urllib.request.urlopen(fleet.status_url + "/metrics", timeout=5).read().decode()
    status = fleet_status(run_dir)
    assert (status["engines"], status["registered"], status["polling"]) == (3, 3, 3)
    assert "psr_fleet_polling 3.0" in text
    assert 'psr_fleet_requests_total{kind="registration"} 3.0' in text
    assert "psr_fleet_cpu_seconds_total" in text


def test_starting_again_returns_the_running_fleet(run_dir: Path, served: HttpRecorder) -> None:
    """One fleet per run directory; other identities replace it."""
    first = start_fleet(run_dir, served.url)
    assert start_fleet(run_dir, served.url).pid == first.pid
    save_identities(run_dir, [identity(0), identity(1)])
    second = start_fleet(run_dir, served.url)
    assert second.pid != first.pid
    assert fleet_status(run_dir)["engines"] == 2


def test_two_starts_at_once_leave_one_fleet(run_dir: Path, served: HttpRecorder) -> None:
    """The one that was too late does not wait for the first to be stopped and take its place."""

    def start() -> int:
        try:
            return start_fleet(run_dir, served.url, poll_interval_s=INTERVAL_S, wait_s=0).pid
        except ProcessError:  # it saw that the other one has the lock
            return 0

    with ThreadPoolExecutor(4) as pool:
        found = {future.result() for future in [pool.submit(start) for _ in range(4)]} - {0}
    fleets = [child for child in psutil.Process().children() if "psrlib.engines.serve" in child.cmdline()]
    assert found == {fleet.pid for fleet in fleets}
    assert len(fleets) == 1
    assert stop_fleet(run_dir)


def test_a_clean_stop_is_quick_and_leaves_private_files(run_dir: Path, served: HttpRecorder) -> None:
    """No token in the log or the record; every file readable by its owner only."""
    with start_fleet(run_dir, served.url):
        assert fleet_status(run_dir)["running"]
    assert not fleet_status(run_dir)["running"]
    assert stop_fleet(run_dir) is False
    files = list((run_dir / "engines").iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    for name in (LOG, RECORD):
        assert "example-token" not in (run_dir / "engines" / name).read_text()


def test_no_hub_is_one_clear_sentence(run_dir: Path) -> None:
    """And no process stays behind."""
    with pytest.raises(ProcessError, match=r"0 of 3 engines reached http://127.0.0.1:\d+ within 1 s"):
        start_fleet(run_dir, f"http://127.0.0.1:{free_port()}", wait_s=1.0)
    assert not fleet_status(run_dir)["running"]


def test_a_webhook_port_in_use_is_one_clear_sentence(run_dir: Path, served: HttpRecorder) -> None:
    """The last line of the log becomes the error."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ProcessError, match=f"webhook sink cannot listen on 127.0.0.1:{port}"):
            start_fleet(run_dir, served.url, f"http://127.0.0.1:{port}/webhook")


def test_a_broken_behaviour_table_is_named_at_start(
    run_dir: Path, served: HttpRecorder, tmp_path: Path
) -> None:
    """Before any engine polls."""
    table = tmp_path / "table.json"
    table.write_text(json.dumps([{"state": "RUNNING", "next": "EDITED"}]))
    with pytest.raises(InputError, match=r"table.json: transition"):
        start_fleet(run_dir, served.url, behaviour=table)


def test_without_identities_there_is_no_fleet(tmp_path: Path) -> None:
    """The message says where they come from."""
    with pytest.raises(InputError, match="no engine identities"):
        start_fleet(tmp_path, "http://127.0.0.1:1")


def test_refused_engines_are_counted_and_do_not_stop_the_others(run_dir: Path, served: HttpRecorder) -> None:
    """A registration refused with 403 is that engine's end."""
    served.recorder.faults[REGISTRATION].extend([403])
    start_fleet(run_dir, served.url)
    status = fleet_status(run_dir)
    assert (status["polling"], status["refused"]) == (2, 1)
    assert "registration: HTTP 403" in status["refusals"][0]
