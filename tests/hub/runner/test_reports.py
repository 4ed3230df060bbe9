"""What engines send is read leniently: they repeat for ever what is refused."""

from typing import Any

import pytest
from msgspec import Struct

from psrlib.hub.runner.reports import (
    Ack,
    EngineInfo,
    PipelineStatus,
    ProcessFigures,
    StatusListJson,
    read_text,
)


@pytest.mark.parametrize(
    ("record", "text", "expected"),
    [
        pytest.param(Ack, '{"ackEventStatus": "SUCCESS", "more": 1}', Ack("SUCCESS"), id="unknown member"),
        pytest.param(Ack, '{"ackEventStatus": "ERROR", "message": {}}', Ack("ERROR"), id="wrong type"),
        pytest.param(
            ProcessFigures, '{"cpuLoad": "x", "usedMemory": 5}', ProcessFigures(None, 5.0), id="text"
        ),
        pytest.param(EngineInfo, '{"labels": "all", "edge": true}', EngineInfo(edge=True), id="no list"),
        pytest.param(PipelineStatus, '{"timeStamp": "7"}', PipelineStatus(time_stamp=7), id="number as text"),
        pytest.param(
            PipelineStatus, '{"timeStamp": 7.0}', PipelineStatus(time_stamp=7), id="number with point"
        ),
        pytest.param(PipelineStatus, "{}", PipelineStatus(), id="empty"),
        pytest.param(Ack, "[]", None, id="no object"),
        pytest.param(Ack, "{", None, id="no JSON"),
        pytest.param(Ack, None, None, id="no payload"),
    ],
)
def test_a_member_of_a_wrong_type_counts_as_missing(record: type[Struct], text: Any, expected: Any) -> None:
    """What cannot be read at all is None."""
    assert read_text(record, text) == expected


def test_one_status_that_is_no_object_spoils_no_report() -> None:
    """The others count; a full report without a list is one of no pipelines."""
    listed = read_text(StatusListJson, '{"pipelineStatusEventList": [5, {"name": "a"}, null]}')
    assert listed is not None
    assert [status.name for status in listed.statuses()] == ["a"]
    assert StatusListJson().statuses() == []
