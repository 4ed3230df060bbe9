"""A reading session refuses what could write, and keeps its pace."""

from typing import Any, cast

import pytest

from psrlib.client import Answer, ControlHub, Request
from psrlib.client.dialect import Release3
from psrlib.client.shapes import Page
from psrlib.collect.session import Pace, ReadingSession
from psrlib.errors import HubError


class RecordingHub:
    """Takes the place of a session and notes what would be sent."""

    dialect = Release3("admin@admin", "secret")

    def __init__(self) -> None:
        self.sent: list[Request] = []

    def answer(self, request: Request) -> Answer:
        self.sent.append(request)
        return Answer(Page([], None))


@pytest.fixture
def recording() -> RecordingHub:
    return RecordingHub()


@pytest.fixture
def session(recording: RecordingHub) -> ReadingSession:
    return ReadingSession(cast(ControlHub, recording), "org-0042", Pace(1e6))


def test_listings_name_the_organization(session: ReadingSession, recording: RecordingHub) -> None:
    """A system administrator reads other organizations by naming them."""
    session.jobrunner.jobs()
    session.pipelinestore.pipelines()
    session.pipelinestore.commits(["c1"])
    assert [request.method for request in recording.sent] == ["GET", "GET", "POST"]
    assert all(request.query["organization"] == "org-0042" for request in recording.sent[:2])


WRITES = {
    "start": lambda session: session.jobrunner.start_jobs(["j"]),
    "delete jobs": lambda session: session.jobrunner.delete_jobs(["j"]),
    "user": lambda session: session.security.create_user("o", {"email": "a"}),
    "limits": lambda session: session.security.set_configs("o", {"a": "b"}),
    "pipelines": lambda session: session.pipelinestore.import_pipelines({"p": b"{}"}, "m"),
    "delete pipeline": lambda session: session.pipelinestore.delete_pipeline("p"),
    "subscription": lambda session: session.notification.delete_subscription("s"),
    "owner": lambda session: session.connection.set_owner("c", "u"),
    "task": lambda session: session.scheduler.delete_task("t"),
    "topology": lambda session: session.topology.publish("c", "m"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_writing_calls_are_not_sent(session: ReadingSession, recording: RecordingHub, write: Any) -> None:
    """Refused on this side, whatever the hub would say."""
    with pytest.raises(HubError, match="was not sent: this session only reads"):
        write(session)
    assert recording.sent == []


def test_requests_are_evenly_spaced() -> None:
    """Ten a second: the first at once, then a tenth of a second apart, with no burst after a pause."""
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        now[0] += seconds

    pace = Pace(10.0, clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        pace.wait()
    now[0] += 5.0
    pace.wait()
    pace.wait()
    assert slept == [0.1, 0.1, 0.1]
