"""From a hub's records to the records of the seed document."""

from typing import Any

import pytest

from psrlib.seed import SeedDocument
from psrlib.state.reading import Reader

ENGINE = {"id": "e", "httpUrl": "http://e:18630", "responding": True, "labels": [], "reportedLabels": ["all"]}


@pytest.mark.parametrize(
    "pipelines",
    [
        {"pipelinesCount": 4, "pipelinesCommitted": []},
        {"pipelinesCount": 0, "pipelinesCommitted": ["about to start"]},
        {},
    ],
    ids=["running", "about-to-start", "neither"],
)
def test_pipelines_about_to_start_are_no_running_ones(rich: SeedDocument, pipelines: dict[str, Any]) -> None:
    """Row 2 of the observations: ``pipelinesCommitted`` have no status yet, nothing is counted by them."""
    reader = Reader(rich, rich.organizations[0], {"name": "O"}, frozenset())
    reader.rows["engines"] = [{**ENGINE, **pipelines}]
    observed = reader.organization()
    (engine,) = observed.organization.engines
    assert (engine.key, engine.url, engine.labels) == ("e", ENGINE["httpUrl"], ["all"])
    assert (observed.engines["e"].responding, observed.engines["e"].labels) == (True, ("all",))
