"""Time and network without either: a clock that jumps, and a sender into the recorder."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

from support.fleet_recorder import Recorder

from psrlib.engines.clock import Clock
from psrlib.engines.engine import Engine
from psrlib.engines.events import handle_event
from psrlib.engines.exchange import Answer, Lane, Request
from psrlib.engines.identity import EngineIdentity
from psrlib.engines.wire import ServerEvent

START_MS = 1_618_225_200_000


def identity(number: int, organization: str = "org-0001") -> EngineIdentity:
    """Return the n-th engine, the same in every run."""
    component = uuid.UUID(int=(number + 1) << 80 | 0x1000_8000_0000_0000_0000, version=1)
    return EngineIdentity(
        organization,
        f"engine-{number + 1:04d}",
        str(component),
        f"http://127.0.0.1:{18630 + number}",
        "COLLECTOR",
        ["all"],
        f"example-token-{number + 1:04d}",
    )


def definition(title: str = "Orders", job: str = "5b0e:org-0001", **constants: Any) -> dict[str, str]:
    """Return ``pipelineConfigurationAndRules`` of a small pipeline with the constants of a job."""
    values = {"JOB_ID": job, "JOB_NAME": title, "PIPELINE_COMMIT_ID": "77aa:org-0001"}
    values |= {"UPDATE_WAIT_TIME_MS": 60000, "TIME_SERIES_ANALYSIS": True, **constants}
    config = {
        "schemaVersion": 6,
        "version": 16,
        "pipelineId": "local",
        "title": title,
        "description": "",
        "uuid": "0",
        "configuration": [
            {"name": "executionMode", "value": "STANDALONE"},
            {"name": "constants", "value": [{"key": k, "value": v} for k, v in values.items()]},
        ],
        "stages": [
            {"instanceName": "Dev_01", "stageName": "dev", "outputLanes": ["lane1"], "configuration": []},
            {"instanceName": "Trash_01", "stageName": "trash", "inputLanes": ["lane1"], "outputLanes": []},
        ],
        "statsAggregatorStage": None,
        "metadata": {"dpm.pipeline.id": "c0de:org-0001", "dpm.pipeline.version": "3", "labels": ["x"]},
    }
    return {"pipelineConfig": json.dumps(config), "pipelineRules": json.dumps({"schemaVersion": 3})}


def save_event(
    name: str = "Orders:5b0e:org-0001", offset: str | None = None, **constants: Any
) -> dict[str, Any]:
    """Return the payload of SAVE_PIPELINE."""
    title, _, job = name.partition(":")
    return {
        "name": name,
        "rev": "0",
        "user": "admin@org-0001",
        "description": "",
        "pipelineConfigurationAndRules": definition(title, job, **constants),
        "offset": offset,
        "offsetProtocolVersion": 2,
        "acl": None,
    }


def base_event(name: str = "Orders:5b0e:org-0001", **more: Any) -> dict[str, Any]:
    """Return the payload that most events have."""
    return {"name": name, "rev": "0", "user": "admin@org-0001", **more}


def deliver(engine: Engine, events: list[ServerEvent], now_ms: int) -> None:
    """Hand events to an engine all at once, and queue their acknowledgements."""
    for event in events:
        ack = handle_event(engine, event, now_ms)
        if ack is not None:
            engine.acks.append(ack)


class JumpingClock(Clock):
    """Time passes only when nothing is under way, and then at once."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now

    async def wait(self, until_ms: int | None, is_busy: Callable[[], bool]) -> None:
        if is_busy():
            while is_busy():
                await asyncio.sleep(0)
        elif until_ms is not None:
            self.now = max(self.now, until_ms)


class RecorderSender:
    """Requests go straight into a recorder; a status of 0 is no answer."""

    def __init__(self, recorder: Recorder, clock: JumpingClock) -> None:
        self.recorder, self.clock = recorder, clock
        self.after: Callable[[Request], None] | None = None
        self.closed = False

    async def send(self, request: Request) -> Answer:
        status, body = self.recorder.take(request.path, request.headers, request.body, self.clock.now)
        if self.after is not None:
            self.after(request)
        return Answer(status, body, {"Content-Type": "application/json"} if body else {})

    async def close(self) -> None:
        self.closed = True


class Hand:
    """Drives single lanes of one engine by hand against a recorder."""

    def __init__(self, engine: Engine, recorder: Recorder, now_ms: int = START_MS) -> None:
        self.engine, self.recorder, self.now = engine, recorder, now_ms
        self.pairs: list[tuple[Request, Answer]] = []

    def step(self, lane: Lane, answer: Answer | None = None) -> Request | None:
        """Let time pass to when the lane is due and make one exchange, with this answer if given."""
        assert lane.due_ms is not None
        self.now = max(self.now, lane.due_ms)
        request = lane.next_request(self.now)
        if request is not None:
            if answer is None:
                status, body = self.recorder.take(request.path, request.headers, request.body, self.now)
                answer = Answer(status, body, {"Content-Type": "application/json"} if body else {})
            self.pairs.append((request, answer))
            lane.take_answer(request, answer, self.now)
        return request

    def run(self, lane: Lane, seconds: float) -> None:
        """Make all exchanges of one lane that are due in the next seconds."""
        end = self.now + int(seconds * 1000)
        while lane.due_ms is not None and lane.due_ms <= end:
            self.step(lane)
        self.now = end
