"""Definitions on a hub are read back to the numbers they were made from."""

import orjson
import pytest

from psrlib import seed
from psrlib.errors import HubError
from psrlib.seed import SeedDocument
from psrlib.state.definitions import read_shape


def test_every_generated_pipeline_reads_back(rich: SeedDocument) -> None:
    """Stages, branches, event lane, labels and parameters survive the way through a definition."""
    n_read = 0
    for organization in rich.organizations:
        for pipeline in organization.pipelines:
            config, _ = seed.pipeline_definition(rich, organization, pipeline, pipeline.commits)
            shape = read_shape(orjson.dumps(config).decode())
            read = (shape.stages, shape.branches, shape.event_lane, shape.labels, shape.parameters)
            assert read == (
                pipeline.stages,
                pipeline.branches,
                pipeline.event_lane,
                pipeline.labels,
                pipeline.parameters,
            )
            n_read += 1
    assert n_read > 10


@pytest.mark.parametrize("text", [None, "", "{}", {}])
def test_a_missing_definition_has_no_stages(text: object) -> None:
    """Rows without definition do not fail."""
    assert read_shape(text).stages == 0


@pytest.mark.parametrize("text", ["[]", '{"stages": 3}', "not JSON"])
def test_what_is_no_definition_is_refused(text: str) -> None:
    """One sentence naming what was expected, not an exception of the decoder."""
    with pytest.raises(HubError, match="definition of the Control Hub is not"):
        read_shape(text)


@pytest.mark.parametrize(
    ("value", "ids"),
    [("", []), ("a:o", ["a:o"]), ("a:o,b:o", ["a:o", "b:o"]), (["a:o"], []), (None, []), ({"a": 1}, [])],
    ids=["empty", "one", "two", "list", "null", "object"],
)
def test_connections_are_read_from_a_text_only(value: object, ids: list[str]) -> None:
    """Row 1 of the observations: a hub takes no connection from a list, so a definition with one has none."""
    definition = {"metadata": {"dpm.pipeline.connections": value}}
    assert read_shape(orjson.dumps(definition)).connection_ids == ids
