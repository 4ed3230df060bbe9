"""Sync mode of one engine: heartbeat and statuses straight to the job runner (engine-protocol, 3.4)."""

from typing import Any

import orjson

from psrlib.engines import wire
from psrlib.engines.engine import STATUS_INTERVAL_MS, Engine
from psrlib.engines.exchange import Answer, Lane, Request
from psrlib.engines.wire import component_headers

FIRST_HEARTBEAT_MS = 1000
HEARTBEAT_MS = 60_000  # dpm.remote.control.heartbeat.ping.frequency
LOOP_MS = 5000  # dpm.remote.control.sync.events.ping.frequency
SKIP_SHARE = 0.7  # of the interval: process metrics are skipped when the status call took longer


class SyncLane(Lane):
    """The direct calls of an engine whose hub pushed ``dpm.should.send.sync.events=true``."""

    def __init__(self, engine: Engine, now_ms: int) -> None:
        super().__init__(engine, now_ms)
        self._heartbeat_ms = now_ms + FIRST_HEARTBEAT_MS
        self._statuses_ms = now_ms
        self._loop_ms = now_ms
        self._begun_ms = now_ms
        self._want_process = False

    def next_request(self, now_ms: int) -> Request | None:
        """Return the call that is due: heartbeat, all statuses, process metrics, or one status change."""
        engine = self.engine
        if engine.state != "UP" or engine.refusal is not None or not engine.sync:
            self.due_ms = None
            return None
        engine.advance(now_ms)
        if self._heartbeat_ms <= now_ms:
            self._heartbeat_ms += HEARTBEAT_MS * ((now_ms - self._heartbeat_ms) // HEARTBEAT_MS + 1)
            return self._request("sync heartbeat", wire.SYNC_HEARTBEAT, None)
        if self._want_process:
            self._want_process = False
            body = orjson.dumps(engine.process_metrics(now_ms))
            return self._request("sync process metrics", wire.SYNC_PROCESS_METRICS, body)
        if self._loop_ms <= now_ms and self._statuses_ms <= now_ms:
            self._begun_ms = now_ms
            body = orjson.dumps(wire.statuses_payload(engine.reports(now_ms)))
            return self._request("sync statuses", wire.SYNC_STATUSES, body)
        if self._loop_ms <= now_ms and engine.changes:
            # One attempt: a lost change is told with the next full report.
            return self._request("sync status", wire.SYNC_STATUS, orjson.dumps(engine.changes.popleft()))
        if self._loop_ms <= now_ms:
            self._loop_ms = now_ms + LOOP_MS
        self.due_ms = min(self._heartbeat_ms, self._loop_ms)
        return None

    def _request(self, kind: str, path: str, body: bytes | None) -> Request:
        return Request(kind, self.engine.base_url, path, self._headers, body)

    def take_answer(self, request: Request, answer: Answer, now_ms: int) -> None:
        """Go on with whatever the answer was; the body is of no interest."""
        if request.kind == "sync statuses":
            self._statuses_ms = now_ms + STATUS_INTERVAL_MS
            self._want_process = now_ms - self._begun_ms <= SKIP_SHARE * STATUS_INTERVAL_MS
        self.due_ms = now_ms


def last_words(
    engine: Engine, statuses: list[dict[str, Any]], changes: list[dict[str, Any]]
) -> list[Request]:
    """Return the calls of an orderly end: all statuses once more, then each pipeline's disconnection."""
    headers = component_headers(engine.identity)
    body = orjson.dumps(wire.statuses_payload(statuses))
    calls = [Request("sync statuses", engine.base_url, wire.SYNC_STATUSES, headers, body)]
    for change in changes:
        body = orjson.dumps(change)
        calls.append(Request("sync status", engine.base_url, wire.SYNC_STATUS, headers, body))
    return calls
