"""Offsets and totals of one pipeline."""

import pytest
from support.fleet_fakes import definition

from psrlib.engines.definition import read_definition
from psrlib.engines.pipeline import NO_OFFSET, Pipeline, offset_text, read_offset, received_offset


def pipeline(**fields: object) -> Pipeline:
    return Pipeline(
        name="Orders:5b0e:o", rev="0", definition=read_definition(definition()["pipelineConfig"]), **fields
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NO_OFFSET, 0),
        (offset_text(12), 12),
        ('{"version":2,"offsets":{"a":"1"}}', None),
        ("x", None),
        ("[]", None),
    ],
)
def test_only_our_own_counting_is_counted_on(text: str, expected: int | None) -> None:
    """Any other offset is kept as it is."""
    assert read_offset(text) == expected


def test_an_old_offset_is_wrapped() -> None:
    """Under the key of a single-threaded origin."""
    assert read_offset(received_offset("41", 1)) == 41


def test_batches_are_counted_while_processing_only() -> None:
    """A second each, from RUNNING until STOPPED."""
    found = pipeline()
    found.enter("STARTING", 0)
    assert found.batches(5000) == 0
    found.enter("RUNNING", 5000)
    assert found.batches(15_999) == 10
    found.enter("STOPPING", 16_000)
    found.enter("STOPPED", 17_000)
    assert (found.batches(99_000), found.offset) == (12, offset_text(12))


def test_an_offset_that_is_not_ours_stays_while_running() -> None:
    """Several keys of a multi-threaded origin."""
    text = '{"version":2,"offsets":{"a":"1","b":"2"}}'
    found = pipeline(offset=text, offset_base=None)
    found.enter("RUNNING", 0)
    assert found.offset_at(60_000) == text


@pytest.mark.parametrize(
    ("state", "runners"), [("EDITED", 0), ("STARTING", 0), ("RUNNING", 1), ("STOPPED", 0)]
)
def test_a_runner_is_reported_while_processing(state: str, runners: int) -> None:
    """One thread for a pipeline of the ghost town."""
    found = pipeline()
    found.enter(state, 0)
    assert found.report(0)["runnerCount"] == runners
