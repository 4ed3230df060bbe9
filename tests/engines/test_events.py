"""What an engine does with each event of the hub (engine-protocol, 5 and 7)."""

import json
from typing import Any

import pytest
from support.fleet_fakes import START_MS, base_event, deliver, save_event

from psrlib.engines.engine import Engine
from psrlib.engines.wire import ServerEvent

NAME = "Orders:5b0e:org-0001"
LOCAL = "Orders__5b0e__org-0001"


def handle(
    engine: Engine, code: int, payload: Any, now_ms: int = START_MS, *, ack: bool = True
) -> tuple[str, str | None] | None:
    """Handle one event; return status and message of its ack, or None when there is none."""
    text = payload if isinstance(payload, str) or payload is None else json.dumps(payload)
    deliver(engine, [ServerEvent(f"event-{code}", code, text, ack)], now_ms)
    acks = [*engine.acks, *engine.deletion_acks]
    engine.acks.clear()
    engine.deletion_acks.clear()
    if not acks:
        return None
    (event,) = acks
    assert event["eventId"] == f"event-{code}"
    found = json.loads(event["payload"])
    return found["ackEventStatus"], found["message"]


@pytest.fixture
def saved(engine: Engine) -> Engine:
    """An engine that holds one saved pipeline."""
    assert handle(engine, 1001, save_event()) == ("SUCCESS", None)
    return engine


@pytest.fixture
def running(saved: Engine) -> Engine:
    """An engine whose pipeline runs."""
    handle(saved, 1003, base_event())
    saved.advance(START_MS + 5000)
    assert saved.pipelines[LOCAL].state == "RUNNING"
    saved.changes.clear()
    return saved


def states(engine: Engine) -> list[str]:
    return [change["pipelineStatus"] for change in engine.changes]


def test_the_local_name_has_no_colons_and_the_reported_one_has(saved: Engine) -> None:
    """Colons become ``__`` on the engine; the hub hears its own name again (8)."""
    assert list(saved.pipelines) == [LOCAL]
    assert saved.reports(START_MS)[0]["name"] == NAME


@pytest.mark.parametrize(
    ("code", "payload", "text"),
    [
        (1001, save_event(), "CONTAINER_0201 - Pipeline 'Orders__5b0e__org-0001' already exists"),
        (1002, base_event("Nobody:1:o", ruleDefinitions="{}"), "CONTAINER_0200"),
        (1002, base_event(ruleDefinitions="{"), "SAVE_RULES_PIPELINE"),
        (1003, base_event("Nobody:1:o"), "CONTAINER_0200 - Pipeline 'Nobody__1__o' does not exist"),
        (1004, base_event(), "CONTAINER_0102 - Cannot change state from EDITED to STOPPING"),
        (1006, base_event("Nobody:1:o"), "CONTAINER_0200"),
        (1008, {}, "missing required field `pingFrequency`"),
        (1014, {"namespace": "n", "id": "i", "version": 1}, "BLOB_STORE_0007"),
        (
            1001,
            {**save_event("New:1:o"), "pipelineConfigurationAndRules": {"pipelineConfig": "{}"}},
            "pipelineRules",
        ),
        (1001, {"name": "New:1:o"}, "pipelineConfigurationAndRules"),
    ],
)
def test_what_cannot_be_done_is_acknowledged_as_an_error(
    saved: Engine, code: int, payload: Any, text: str
) -> None:
    """The message names the event and the reason; nothing changes."""
    before = saved.reports(START_MS)
    status, message = handle(saved, code, payload)
    assert status == "ERROR"
    assert message.startswith("Remote event type: '")
    assert text in message
    assert saved.reports(START_MS) == before


def test_events_without_a_wish_for_acknowledgement_get_none(engine: Engine) -> None:
    """Not even an error is acknowledged then."""
    assert handle(engine, 1001, save_event(), ack=False) is None
    assert handle(engine, 1001, save_event(), ack=False) is None
    assert handle(engine, 1003, "{", ack=False) is None


@pytest.mark.parametrize(
    ("code", "payload", "status", "message"),
    [
        (1999, {}, "IGNORE", "Cannot understand remote event code 1999"),
        (1016, base_event(), "ERROR", "Unrecognized event: 'PREVIEW_PIPELINE'"),
        (1003, "not json", "ERROR", "Can't parse event JSON"),
        (1003, "[1]", "ERROR", "Can't parse event JSON"),
    ],
)
def test_events_that_mean_nothing_are_acknowledged_after_the_reference(
    engine: Engine, code: int, payload: Any, status: str, message: str
) -> None:
    """Unknown codes are ignored, previews are not for messaging, broken payloads are errors."""
    assert handle(engine, code, payload) == (status, message)


def test_starting_an_active_pipeline_again_changes_nothing_and_succeeds(running: Engine) -> None:
    """Data Collector warns and acknowledges SUCCESS."""
    assert handle(running, 1003, base_event()) == ("SUCCESS", None)
    assert states(running) == []


def test_stop_ends_in_stopped_with_the_last_offset(running: Engine) -> None:
    """STOPPING, STOPPED; the offset counts the batches made."""
    assert handle(running, 1004, base_event(), START_MS + 60_000) == ("SUCCESS", None)
    running.advance(START_MS + 70_000)
    assert states(running) == ["STOPPING", "STOPPED"]
    offset = json.loads(running.changes[-1]["offset"])
    (value,) = offset["offsets"].values()
    assert 55 <= int(value) <= 61


@pytest.mark.parametrize(("code", "text"), [(1005, "CONTAINER_0104"), (1006, "CONTAINER_0208")])
def test_an_active_pipeline_is_neither_reset_nor_deleted(running: Engine, code: int, text: str) -> None:
    """Both want an inactive pipeline."""
    status, message = handle(running, code, base_event())
    assert status == "ERROR"
    assert text in message


def test_reset_empties_the_offset(running: Engine) -> None:
    """The next start begins at the beginning."""
    handle(running, 1004, base_event(), START_MS + 60_000)
    running.advance(START_MS + 70_000)
    assert handle(running, 1005, base_event()) == ("SUCCESS", None)
    assert json.loads(running.reports(START_MS)[0]["offset"]) == {"version": 2, "offsets": {}}


@pytest.mark.parametrize(
    ("sent", "version", "expected"),
    [
        (None, 2, {}),
        ('{"version":2,"offsets":{"a":"1","b":"2"}}', 2, {"a": "1", "b": "2"}),
        ("old text", 1, {"$com.streamsets.datacollector.pollsource.offset$": "old text"}),
    ],
    ids=["none", "several keys", "old protocol"],
)
def test_an_offset_from_the_hub_is_kept_as_it_is(
    engine: Engine, sent: str | None, version: int, expected: Any
) -> None:
    """Text of version 2 comes back unchanged, older text is wrapped, null is the beginning (9.3)."""
    handle(engine, 1001, {**save_event(offset=sent), "offsetProtocolVersion": version})
    handle(engine, 1003, base_event())
    engine.advance(START_MS + 5000)
    found = json.loads(engine.reports(START_MS + 5000)[0]["offset"])["offsets"]
    assert found == expected or not expected


def test_a_run_goes_on_from_the_offset_of_the_run_before(running: Engine) -> None:
    """What the hub stored and sends back with the next SAVE is where counting goes on."""
    handle(running, 1009, base_event(forceTimeoutMillis=120_000), START_MS + 100_000)
    running.advance(START_MS + 110_000)
    offset = next(c["offset"] for c in running.changes if c["pipelineStatus"] == "STOPPED")
    before = int(next(iter(json.loads(offset)["offsets"].values())))
    running.deletion_acks.clear()
    handle(running, 1001, save_event(offset=offset), START_MS + 110_000)
    handle(running, 1003, base_event(), START_MS + 110_000)
    running.advance(START_MS + 115_000)
    after = int(next(iter(json.loads(running.reports(START_MS + 125_000)[0]["offset"])["offsets"].values())))
    assert before + 8 <= after <= before + 15


def test_delete_reports_one_last_state_without_a_title(saved: Engine) -> None:
    """DELETED, with the last offset; then the pipeline is gone."""
    assert handle(saved, 1006, base_event()) == ("SUCCESS", None)
    assert [(c["pipelineStatus"], c["title"], c["message"]) for c in saved.changes] == [
        ("DELETED", None, "Pipeline is deleted")
    ]
    assert saved.reports(START_MS) == []


@pytest.mark.parametrize("ack", [True, False])
def test_stop_delete_is_acknowledged_when_the_pipeline_is_gone(running: Engine, ack: bool) -> None:
    """Stop, delete, then the ack, whether or not the hub asked for it."""
    assert handle(running, 1009, base_event(forceTimeoutMillis=120_000), START_MS + 60_000, ack=ack) is None
    running.advance(START_MS + 70_000)
    assert states(running) == ["STOPPING", "STOPPED", "DELETED"]
    assert json.loads(running.deletion_acks[0]["payload"])["ackEventStatus"] == "SUCCESS"


def test_stop_delete_of_an_inactive_pipeline_deletes_at_once(saved: Engine) -> None:
    """There is nothing to stop."""
    assert handle(saved, 1009, base_event()) == ("SUCCESS", None)
    assert states(saved) == ["DELETED"]


def test_the_same_stop_delete_again_is_ignored_while_under_way(running: Engine) -> None:
    """The only events an engine remembers (7)."""
    for _ in range(2):
        assert handle(running, 1009, base_event(forceTimeoutMillis=120_000), START_MS + 60_000) is None
    running.advance(START_MS + 70_000)
    assert len(running.deletion_acks) == 1


def test_a_pipeline_that_does_not_stop_is_forced_to_after_the_timeout(running: Engine) -> None:
    """Force timeout, ten more seconds, then STOPPED and deleted whatever the table says."""
    running.behaviour = type(running.behaviour)([])
    handle(running, 1009, base_event(forceTimeoutMillis=30_000), START_MS + 60_000)
    running.advance(START_MS + 99_999)
    assert states(running) == ["STOPPING"]
    running.advance(START_MS + 100_000)
    assert states(running) == ["STOPPING", "STOPPED", "DELETED"]


def test_a_starting_pipeline_can_be_stopped_and_deleted(saved: Engine) -> None:
    """It does not have to run first."""
    handle(saved, 1003, base_event())
    handle(saved, 1009, base_event(forceTimeoutMillis=120_000))
    saved.advance(START_MS + 10_000)
    assert states(saved) == ["STARTING", "STOPPING", "STOPPED", "DELETED"]


def test_the_poll_delay_changes_at_once_and_is_not_clamped(engine: Engine) -> None:
    """Event 1008 may go below the 5 s of the configuration file."""
    assert handle(engine, 1008, {"pingFrequency": 1000}) == ("SUCCESS", None)
    assert engine.interval_ms == 1000


def test_pushed_configuration_is_kept_and_null_removes(engine: Engine) -> None:
    """It overrides the files at every later start; sync mode is such a value."""
    handle(engine, 1015, {"configuration": {"dpm.should.send.sync.events": "true", "a": "b"}})
    assert engine.sync
    handle(engine, 1015, {"configuration": {"dpm.should.send.sync.events": None}})
    assert not engine.sync
    assert engine.save().pushed == {"a": "b"}


def test_validation_shows_in_the_report(saved: Engine) -> None:
    """validationStatus and issues appear with the next full report."""
    assert handle(saved, 1000, base_event()) == ("SUCCESS", None)
    (report,) = saved.reports(START_MS)
    assert report["validationStatus"] == "VALID"
    assert json.loads(report["issues"])["issueCount"] == 0


@pytest.mark.parametrize(
    ("code", "payload"),
    [
        (1002, base_event(ruleDefinitions="{}")),
        (1007, base_event()),
        (1010, {"entries": [{"userNameSha": "x", "passwordHash": "y", "roles": [], "groups": []}]}),
        (1011, {"acl": None}),
        (1011, {"acl": {"resourceId": LOCAL}}),
        (1011, {"acl": {"resourceId": "unknown"}}),
        (1012, {"namespace": "n", "id": "i", "version": 1, "content": "x"}),
    ],
    ids=["rules", "history", "credentials", "no list", "list", "list of unknown", "blob"],
)
def test_events_without_visible_effect_succeed(saved: Engine, code: int, payload: Any) -> None:
    """They are accepted; nothing of them is reported back."""
    assert handle(saved, code, payload) == ("SUCCESS", None)


def test_blobs_are_stored_and_deleted_by_version(engine: Engine) -> None:
    """A version exists once; deleting all versions needs one."""
    blob = {"namespace": "n", "id": "i", "version": 1, "content": "x"}
    assert handle(engine, 1012, blob)[0] == "SUCCESS"
    assert handle(engine, 1012, blob)[0] == "ERROR"
    assert handle(engine, 1012, {**blob, "version": 2})[0] == "SUCCESS"
    assert handle(engine, 1014, {"namespace": "n", "id": "i", "version": 1})[0] == "SUCCESS"
    assert engine.blobs == {"n i": [2]}
    assert handle(engine, 1013, {"namespace": "n", "id": "i"})[0] == "SUCCESS"


def test_no_secret_of_disconnected_mode_is_kept(engine: Engine) -> None:
    """Password hashes serve nobody here."""
    handle(engine, 1010, {"entries": [{"userNameSha": "x", "passwordHash": "hash-of-somebody"}]})
    assert "hash-of-somebody" not in repr(engine.save())
