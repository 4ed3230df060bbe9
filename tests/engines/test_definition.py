"""What is read from a pipeline definition."""

import json

import msgspec
import pytest
from support.fleet_fakes import definition

from psrlib import paths
from psrlib.engines.definition import read_definition
from psrlib.model import NoiseModel
from psrlib.seed import create_seed, pipeline_definition, resolve_variables


def test_job_constants_stages_and_text_metadata_are_kept() -> None:
    """Lists among the metadata are not echoed with metrics, so they are not kept."""
    found = read_definition(definition()["pipelineConfig"])
    assert (found.title, found.job_id, found.commit_id) == ("Orders", "5b0e:org-0001", "77aa:org-0001")
    assert [(stage.name, stage.lanes) for stage in found.stages] == [("Dev_01", ("lane1",)), ("Trash_01", ())]
    assert found.metadata == {"dpm.pipeline.id": "c0de:org-0001", "dpm.pipeline.version": "3"}
    assert (found.metrics_period_ms, found.time_series) == (60_000, True)


def test_a_definition_without_any_of_it_is_read_too() -> None:
    """Nulls and absent fields."""
    text = '{"uuid": "0", "title": null, "stages": null, "configuration": null, "metadata": null}'
    found = read_definition(text)
    assert (found.stages, found.job_id, found.metrics_period_ms) == ((), "", 0)


@pytest.mark.parametrize("text", ["", "[]", '{"stages": 5}'])
def test_what_is_no_definition_is_an_error(text: str) -> None:
    """So that SAVE is acknowledged with one."""
    with pytest.raises(msgspec.DecodeError):
        read_definition(text)


def test_the_definitions_of_a_seed_document_are_read() -> None:
    """Every stage of a generated pipeline, each output lane as text."""
    document = resolve_variables(create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 1, 1), {})
    (organization,) = document.organizations
    for pipeline in organization.pipelines[:10]:
        config, _ = pipeline_definition(document, organization, pipeline, 1)
        found = read_definition(json.dumps(config))
        assert len(found.stages) == len(config["stages"])
        assert msgspec.json.encode(found)
