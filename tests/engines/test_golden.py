"""Golden request and answer pairs of whole conversations, times and random ids masked.

``pytest tests/engines/test_golden.py --update-golden`` rewrites them for review.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cramjam
import pytest
from support.fleet_fakes import START_MS, Hand, base_event, save_event
from support.fleet_recorder import Recorder

from psrlib.engines.engine import Engine
from psrlib.engines.exchange import Answer, Request
from psrlib.engines.poll import PollLane
from psrlib.engines.sync import SyncLane
from psrlib.engines.uploads import UploadLane

GOLDEN = Path(__file__).parent.parent / "golden" / "engines"
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIMES = {"timeStamp", "timestamp"}
DRAWN = {"cpuLoad", "usedMemory"}


def mask(value: Any, name: str = "") -> Any:
    """Replace times, drawn figures and random ids; payload texts are opened for reading."""
    if isinstance(value, dict):
        return {key: mask(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [mask(item) for item in value]
    if name in TIMES:
        assert isinstance(value, int)
        assert START_MS <= value < START_MS + 86_400_000
        return "<time>"
    if name in DRAWN:
        return "<figure>"
    if name == "payload":
        return {"<text of>": mask(json.loads(value))}
    return UUID4.sub("<uuid>", value) if isinstance(value, str) else value


def pair(request: Request, answer: Answer) -> dict[str, Any]:
    """Return one exchange as it is kept."""
    body = request.body
    if request.headers.get("Content-Encoding") == "snappy":
        body = bytes(cramjam.snappy.decompress(body or b""))
    return {
        "request": {
            "method": "POST",
            "path": request.path,
            "headers": dict(sorted(request.headers.items())),
            "body": mask(json.loads(body)) if body else None,
        },
        "answer": {"status": answer.status, "body": mask(json.loads(answer.body)) if answer.body else None},
    }


def start_job(hand: Hand) -> None:
    component = hand.engine.identity.id
    hand.recorder.put(component, 1001, save_event(), event_id="save-1:org-0001")
    start = base_event(interceptorConfiguration=None, groups=["all@org-0001"])
    hand.recorder.put(component, 1003, start, event_id="start-1:org-0001")


def registration_and_first_poll(hand: Hand, lane: PollLane) -> None:
    hand.step(lane)
    hand.step(lane)
    hand.step(lane)


def job_started(hand: Hand, lane: PollLane) -> None:
    registration_and_first_poll(hand, lane)
    start_job(hand)
    for _ in range(3):
        hand.step(lane)


def full_report_after_a_minute(hand: Hand, lane: PollLane) -> None:
    job_started(hand, lane)
    del hand.pairs[:]
    hand.run(lane, 60)
    hand.pairs = [exchange for exchange in hand.pairs if exchange[0].body != b"[]"]


def job_stopped_and_deleted(hand: Hand, lane: PollLane) -> None:
    job_started(hand, lane)
    del hand.pairs[:]
    payload = base_event(forceTimeoutMillis=120_000)
    hand.recorder.put(hand.engine.identity.id, 1009, payload, event_id="stop-1:org-0001")
    for _ in range(3):
        hand.step(lane)


def errors_acknowledged(hand: Hand, lane: PollLane) -> None:
    registration_and_first_poll(hand, lane)
    del hand.pairs[:]
    component = hand.engine.identity.id
    hand.recorder.put(component, 1003, base_event(), event_id="missing:org-0001")
    hand.recorder.put(component, 1999, {}, event_id="unknown:org-0001")
    hand.recorder.put(component, 1016, base_event(), event_id="preview:org-0001")
    hand.recorder.put(component, 1009, base_event(), event_id="gone:org-0001", ack=False)
    hand.step(lane)
    hand.step(lane)


def metrics_uploaded(hand: Hand, lane: PollLane) -> None:
    job_started(hand, lane)
    del hand.pairs[:]
    uploads = UploadLane(hand.engine)
    uploads.refresh()
    hand.run(uploads, 70)


def sync_mode(hand: Hand, lane: PollLane) -> None:
    hand.recorder.sync = True
    hand.step(lane)
    hand.step(lane)
    start_job(hand)
    hand.step(lane)
    lane_of_calls = SyncLane(hand.engine, hand.now)
    hand.run(lane_of_calls, 8)
    hand.step(lane)


def restart_with_a_running_pipeline(hand: Hand, lane: PollLane) -> None:
    job_started(hand, lane)
    del hand.pairs[:]
    hand.engine.shut_down(hand.now)
    later = Engine(hand.engine.identity, hand.engine.base_url, hand.engine.behaviour)
    later.restore(hand.engine.save())
    later.boot(hand.now + 60_000)
    hand.engine, hand.now = later, hand.now + 60_000
    next_lane = PollLane(later, phase_ms=0, start_ms=hand.now)
    for _ in range(3):
        hand.step(next_lane)


def restart_after_a_crash(hand: Hand, lane: PollLane) -> None:
    job_started(hand, lane)
    del hand.pairs[:]
    alive = hand.now
    later = Engine(hand.engine.identity, hand.engine.base_url, hand.engine.behaviour)
    later.restore(hand.engine.save())
    later.boot(hand.now + 60_000, alive)
    hand.engine, hand.now = later, hand.now + 60_000
    next_lane = PollLane(later, phase_ms=0, start_ms=hand.now)
    for _ in range(3):
        hand.step(next_lane)


CASES: list[Callable[[Hand, PollLane], None]] = [
    registration_and_first_poll,
    job_started,
    full_report_after_a_minute,
    job_stopped_and_deleted,
    errors_acknowledged,
    metrics_uploaded,
    sync_mode,
    restart_with_a_running_pipeline,
    restart_after_a_crash,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_conversation_is_as_reviewed(
    case: Callable[[Hand, PollLane], None],
    hand: Hand,
    lane: PollLane,
    recorder: Recorder,
    update_golden: bool,
) -> None:
    """Each exchange equals the file under tests/golden/engines."""
    case(hand, lane)
    found = [pair(request, answer) for request, answer in hand.pairs]
    path = GOLDEN / f"{case.__name__}.json"
    if update_golden:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
    assert recorder.violations == []
    assert found == json.loads(path.read_text())


def test_every_golden_file_has_its_case() -> None:
    """A conversation that is no longer checked does not stay behind."""
    assert {path.stem for path in GOLDEN.glob("*.json")} == {case.__name__ for case in CASES}
