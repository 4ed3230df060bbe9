"""Uploads of pipeline metrics of one engine (engine-protocol, 3.5)."""

import cramjam

from psrlib.engines import wire
from psrlib.engines.engine import Engine
from psrlib.engines.exchange import Answer, Lane, Request
from psrlib.engines.metrics import Upload, metrics_body

ATTEMPTS = 5


class UploadLane(Lane):
    """Metrics of running pipelines, each at its own period, and the last ones of those that ended."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, None)
        self._headers["Content-Encoding"] = "snappy"
        self._body: bytes | None = None  # the upload under way, kept for another attempt
        self._attempts = 0
        self._retry_ms = 0

    def refresh(self) -> None:
        """Fix ``due_ms`` from what the engine has to upload."""
        if self.engine.state != "UP" or self.engine.refusal is not None:
            self.due_ms = None
        elif self._body is not None:
            self.due_ms = self._retry_ms
        elif self.engine.finals:
            self.due_ms = 0
        else:
            times = [p.metrics_at_ms for p in self.engine.pipelines.values() if p.metrics_at_ms is not None]
            if self.engine.pipelines and self.engine.soonest_ms is not None:
                # The first upload is made at the start of a pipeline and the last one at its end, before the
                # poll that reports them.
                times.append(self.engine.soonest_ms)
            self.due_ms = min(times, default=None)

    def next_request(self, now_ms: int) -> Request | None:
        """Return the upload that is due."""
        self.engine.advance(now_ms)
        if self.engine.state != "UP":
            self._body = None
            self.refresh()
            return None
        if self._body is None:
            upload = self._take_upload(now_ms)
            if upload is None:
                self.refresh()
                return None
            body = metrics_body(upload, self.engine.identity.id)
            self._body, self._attempts = bytes(cramjam.snappy.compress(body)), 0  # framed Snappy
        return Request("metrics", self.engine.base_url, wire.METRICS, self._headers, self._body)

    def _take_upload(self, now_ms: int) -> Upload | None:
        engine = self.engine
        if engine.finals:
            return engine.finals.popleft()
        for pipeline in engine.pipelines.values():
            if pipeline.metrics_at_ms is not None and pipeline.metrics_at_ms <= now_ms:
                period = pipeline.definition.metrics_period_ms
                # A period of 0 is a missing constant: after the first upload only the last one follows.
                behind = (now_ms - pipeline.metrics_at_ms) // period if period else 0
                pipeline.metrics_at_ms = pipeline.metrics_at_ms + (behind + 1) * period if period else None
                return Upload(pipeline.definition, pipeline.batches(now_ms), now_ms)
        return None

    def take_answer(self, request: Request, answer: Answer, now_ms: int) -> None:
        """Forget the upload when taken or refused; else try again after 2, 4, 8 and 16 s."""
        self._attempts += 1
        if answer.status in (200, 403) or self._attempts >= ATTEMPTS:
            self._body = None
        else:
            self._retry_ms = now_ms + 1000 * 2**self._attempts
        self.refresh()
