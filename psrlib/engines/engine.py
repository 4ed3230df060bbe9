"""One engine without its network: pipelines, queued reports, and what time does to them.

Everything here is synchronous and takes the time as an argument, so seven simulated days cost no sleep.
The lanes (``poll``, ``uploads``, ``sync``) turn this state into requests.
"""

from collections import deque
from typing import Any

import msgspec

from psrlib.engines import wire
from psrlib.engines.behaviour import Behaviour, Draws
from psrlib.engines.budget import Budget
from psrlib.engines.identity import EngineIdentity
from psrlib.engines.metrics import Upload
from psrlib.engines.pipeline import Deletion, Pipeline
from psrlib.engines.statuses import AFTER_RESTART, crash_path

STATUS_INTERVAL_MS = 60_000  # dpm.remote.control.status.events.interval
QUEUE_CAPACITY = 1000  # remote.events.queue.capacity
FORCE_QUIT_MS = 10_000  # after the force timeout a pipeline gets this long before it counts as STOPPED
USED_MEMORY_BYTES, MEMORY_PER_PIPELINE_BYTES = 180_000_000, 12_000_000
FINALS_CAPACITY = 100
BLOB_BYTES = 1000  # about what remembering a version of an object takes, at most
LONGEST_RETRY_MS = 300_000  # the wait before an automatic retry doubles up to this
# A SAVE and a START took a quiet Data Collector 0.5 s together, and it did not poll meanwhile. A tenth of
# that is enough to make polls late where many pipelines start, and keeps the start of ten organizations' jobs
# within seconds.
EVENT_MS = 25


class Saved(msgspec.Struct):
    """What an engine keeps on disk."""

    pipelines: list[Pipeline] = []
    pushed: dict[str, str] = {}
    blobs: dict[str, list[int]] = {}


class Engine:
    """An engine: its identity, its pipelines, and what it still has to tell the hub.

    ``base_url`` is the hub's, without a trailing slash; ``behaviour`` moves the pipelines and the engine;
    ``interval_ms`` is the delay between an answer and the next poll, ``event_ms`` how long a SAVE or a START
    takes, ``max_pipelines`` how many pipelines can be active at once (None: any number). What the hub makes
    the engine hold is counted in ``budget``.
    """

    def __init__(
        self,
        identity: EngineIdentity,
        base_url: str,
        behaviour: Behaviour,
        interval_ms: int = 5000,
        *,
        event_ms: int = EVENT_MS,
        max_pipelines: int | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.identity = identity
        self.base_url = base_url
        self.behaviour = behaviour
        self.interval_ms = interval_ms
        self.event_ms = event_ms
        self.max_pipelines = max_pipelines
        self.budget = budget or Budget()
        self.draws = Draws(int(identity.id.replace("-", ""), 16))
        self.pipelines: dict[str, Pipeline] = {}  # by local id: the name with "__" for ":"
        self.acks: list[dict[str, Any]] = []
        self.deletion_acks: list[dict[str, Any]] = []
        self.changes: deque[dict[str, Any]] = deque()
        self.dropped_changes = 0
        self.finals: deque[Upload] = deque(maxlen=FINALS_CAPACITY)  # last metrics of pipelines that ended
        self.pushed: dict[str, str] = {}
        self.blobs: dict[str, list[int]] = {}  # "namespace id" -> versions
        self.boots = 0  # processes begun
        self.registered = False
        self.info_accepted = False
        self.refusal: str | None = None  # why the engine stopped for good
        self.dirty = False
        self.state = "UP"
        self.next_state: str | None = None
        self.next_at_ms = 0
        self.next_message: str | None = None  # of the row; nobody is told
        self.soonest_ms: int | None = None  # the earliest transition of anything in here

    # -- time ---------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Make all transitions that are due, each at its own time."""
        while self.soonest_ms is not None and self.soonest_ms <= now_ms:
            due = self.soonest_ms
            if self.next_state is not None and self.next_at_ms <= due:
                self._enter(self.next_state, due)
            if self.state != "DOWN":
                for pipeline in list(self.pipelines.values()):
                    self._advance_pipeline(pipeline, due)
            self._find_soonest()

    def _advance_pipeline(self, pipeline: Pipeline, due_ms: int) -> None:
        if pipeline.next_state is not None and pipeline.next_at_ms <= due_ms:
            self.change(pipeline, pipeline.next_state, pipeline.next_at_ms, pipeline.next_message)
        deletion = pipeline.deletion
        if deletion is None:
            return
        if pipeline.state in ("STARTING", "RUNNING", "RETRY"):
            self.change(pipeline, "STOPPING", due_ms)
        if pipeline.active and deletion.force_at_ms + FORCE_QUIT_MS <= due_ms:
            self.change(pipeline, "STOPPED", due_ms, "The pipeline was forced to stop")
        if not pipeline.active:
            self.delete(pipeline, due_ms)
            self.deletion_acks.append(wire.ack_event(deletion.event_id, "SUCCESS", None))

    def _find_soonest(self) -> None:
        times = [self.next_at_ms] if self.next_state is not None else []
        if self.state != "DOWN":
            for pipeline in self.pipelines.values():
                if pipeline.next_state is not None:
                    times.append(pipeline.next_at_ms)
                if pipeline.deletion is not None:
                    times.append(pipeline.deletion.force_at_ms + FORCE_QUIT_MS)
        self.soonest_ms = min(times, default=None)

    # -- pipelines ----------------------------------------------------------------------------------------

    def change(self, pipeline: Pipeline, state: str, at_ms: int, message: str | None = None) -> None:
        """Move a pipeline to a state, queue the report, and plan what follows after the table."""
        has_metrics = pipeline.definition.metrics_period_ms >= 0
        if has_metrics and pipeline.stretch_ms is not None and state in ("STOPPED", "FINISHED"):
            self.finals.append(Upload(pipeline.definition, pipeline.batches(at_ms), at_ms))
        pipeline.enter(state, at_ms, message)
        if state == "RUNNING":
            pipeline.metrics_at_ms = at_ms if has_metrics else None
        elif not pipeline.active:
            pipeline.metrics_at_ms = None
        self.queue_change(pipeline.report(at_ms))
        self._plan(pipeline, at_ms)

    @property
    def n_active(self) -> int:
        """How many pipelines are active."""
        return sum(pipeline.active for pipeline in self.pipelines.values())

    def add(self, pipeline: Pipeline) -> None:
        """Keep a saved pipeline, or raise ValueError when the fleet holds too much already."""
        held = 500 + 2 * len(pipeline.name) + len(pipeline.offset) + pipeline.definition.held_bytes
        self.budget.take(held)
        pipeline.held_bytes = held
        self.pipelines[local_id(pipeline.name)] = pipeline
        self.dirty = True

    def begin_deletion(self, pipeline: Pipeline, event_id: str, force_at_ms: int, at_ms: int) -> None:
        """Stop a pipeline if need be, then delete it and acknowledge the event."""
        pipeline.deletion = Deletion(event_id, force_at_ms)
        self._advance_pipeline(pipeline, at_ms)
        self._find_soonest()

    def delete(self, pipeline: Pipeline, at_ms: int) -> None:
        """Forget an inactive pipeline after one last report, DELETED.

        Reports are made when they leave: those of a deleted pipeline have no title and no runner any more.
        """
        del self.pipelines[local_id(pipeline.name)]
        self.budget.give(pipeline.held_bytes)
        for change in self.changes:
            if change["name"] == pipeline.name:
                change.update(title=None, runnerCount=0)
        report = pipeline.report(at_ms)
        report.update(timeStamp=at_ms, pipelineStatus="DELETED", title=None, message="Pipeline is deleted")
        self.queue_change(report)
        self.dirty = True

    def queue_change(self, report: dict[str, Any]) -> None:
        """Queue one state change; what does not fit is dropped, as Data Collector does."""
        self.dirty = True
        if len(self.changes) >= QUEUE_CAPACITY:
            self.dropped_changes += 1
        else:
            self.changes.append(report)

    def _plan(self, subject: "Pipeline | Engine", at_ms: int) -> None:
        """Look up what happens next to a pipeline, or to the engine itself."""
        kind, title = "engine", ""
        if isinstance(subject, Pipeline):
            kind, title = "pipeline", subject.definition.title or subject.name
        where = (self.identity.organization, self.identity.key, title)
        found = self.behaviour.choose(kind, subject.state, *where, self.draws)
        subject.next_state = None
        if found is not None:
            row, delay_ms = found
            if isinstance(subject, Pipeline) and subject.state == "RETRY":
                delay_ms = min(delay_ms << min(subject.retries, 16), max(delay_ms, LONGEST_RETRY_MS))
                subject.retries += 1
            subject.next_state, subject.next_message = row.next, row.message
            subject.next_at_ms = at_ms + delay_ms
        self._find_soonest()

    # -- the engine itself --------------------------------------------------------------------------------

    def boot(self, now_ms: int, alive_ms: int | None = None) -> None:
        """Begin a process: nothing told yet, and pipelines that were active start again (9.1).

        ``alive_ms`` is when the process before was last known alive; totals and offsets end there. A pipeline
        that no orderly end has disconnected is disconnected now, and the hub is told.
        """
        self.state, self.next_state = "UP", None
        self.boots += 1
        self.acks.clear()
        self.deletion_acks.clear()
        self.changes.clear()
        self.finals.clear()
        self.registered = self.info_accepted = False
        for pipeline in self.pipelines.values():
            pipeline.deletion = pipeline.validation = None
            pipeline.metrics_at_ms = None
            if not pipeline.active:
                continue
            last = now_ms if alive_ms is None else min(alive_ms, now_ms)
            pipeline.freeze(max(last, pipeline.since_ms))
            path = crash_path(pipeline.state)
            message = f"Pipeline was in {pipeline.state} state, forcing it to {path[0]}" if path else None
            for state in path:
                pipeline.enter(state, now_ms, message)
                self.queue_change(pipeline.report(now_ms))
            pipeline.counted = 0
            self._plan(pipeline, now_ms)
        self._plan(self, now_ms)
        self.dirty = True

    def shut_down(self, now_ms: int) -> list[dict[str, Any]]:
        """End the process in order: active pipelines disconnect, to start again at the next boot.

        Returns the reports of it, which only an engine in sync mode still sends.
        """
        reports = []
        for pipeline in self.pipelines.values():
            if AFTER_RESTART.get(pipeline.state) == "DISCONNECTED":
                for state in crash_path(pipeline.state):
                    pipeline.enter(state, now_ms)
                    reports.append(pipeline.report(now_ms))
        self.dirty = True
        return reports

    def _enter(self, state: str, at_ms: int) -> None:
        came_from, self.state = self.state, state
        if state == "DOWN":
            self.shut_down(at_ms)
        if came_from == "DOWN":
            self.boot(at_ms)
        else:
            self._plan(self, at_ms)

    # -- what it tells ------------------------------------------------------------------------------------

    @property
    def sync(self) -> bool:
        """Whether the hub asked for sync mode (3.4)."""
        return self.pushed.get(wire.SYNC_MODE_KEY, "").lower() == "true"

    def push(self, configuration: dict[str, str | None]) -> None:
        """Take in configuration from the hub; a null value removes a key (1.2)."""
        for key, value in configuration.items():
            if value is None:
                self.budget.give(_pushed_bytes(key, self.pushed.pop(key, None)))
            else:
                self.budget.take(_pushed_bytes(key, value))
                self.budget.give(_pushed_bytes(key, self.pushed.get(key)))
                self.pushed[key] = value
            self.dirty = True

    def reports(self, now_ms: int) -> list[dict[str, Any]]:
        """Return the state of every pipeline, in any state."""
        return [pipeline.report(now_ms, full=True) for pipeline in self.pipelines.values()]

    def process_metrics(self, now_ms: int) -> dict[str, Any]:
        """Return the figures of event 2003 (6.3): CPU of the machine in percent, used heap in bytes.

        A little for the engine, a little per running pipeline.
        """
        running = sum(pipeline.state == "RUNNING" for pipeline in self.pipelines.values())
        cpu = round(0.4 + 0.7 * running + self.draws.below(60) / 100, 2)
        used = USED_MEMORY_BYTES + running * MEMORY_PER_PIPELINE_BYTES + self.draws.below(40_000_000)
        return {"timestamp": now_ms, "sdcId": self.identity.id, "cpuLoad": cpu, "usedMemory": float(used)}

    def save(self) -> Saved:
        """Return what belongs on disk."""
        return Saved(list(self.pipelines.values()), self.pushed, self.blobs)

    def restore(self, saved: Saved) -> None:
        """Take back what was on disk."""
        self.pipelines = {local_id(pipeline.name): pipeline for pipeline in saved.pipelines}
        self.pushed, self.blobs = dict(saved.pushed), dict(saved.blobs)
        held = sum(pipeline.held_bytes for pipeline in saved.pipelines)
        held += sum(_pushed_bytes(key, value) for key, value in self.pushed.items())
        self.budget.used += held + sum(BLOB_BYTES * len(versions) for versions in self.blobs.values())


def _pushed_bytes(key: str, value: str | None) -> int:
    return 0 if value is None else 200 + len(key) + len(value)


def local_id(name: str) -> str:
    """Return the id of a pipeline on the engine: ``__`` for each colon since 3.7 (8).

    Examples
    --------
    >>> local_id("Orders:5b0e:acme")
    'Orders__5b0e__acme'
    """
    return name.replace(":", "__")
