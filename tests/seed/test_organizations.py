"""Organizations are records whose JSON is the same alone and among others."""

import dataclasses
import re

import msgspec
import numpy as np
import orjson

from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed
from psrlib.seed.check import check_references
from psrlib.seed.chunk import Chunk
from psrlib.seed.columns import Drawer
from psrlib.seed.document import Organization
from psrlib.seed.generate import provenance
from psrlib.seed.organizations import draw_organizations
from psrlib.words import COUNTED


def test_records_are_typed_all_the_way_down(rich_seed: SeedDocument) -> None:
    """Encoded by another library and decoded with all types checked, a document is the same."""
    assert msgspec.convert(msgspec.to_builtins(rich_seed), SeedDocument) == rich_seed
    for organization in rich_seed.organizations:
        text = orjson.dumps(msgspec.to_builtins(organization))
        assert msgspec.json.encode(organization) == text
        assert msgspec.json.decode(text, type=Organization) == organization


def test_an_organization_does_not_depend_on_its_neighbours(rich_model: NoiseModel) -> None:
    """Drawn alone, in a small or in a large chunk, it is the same."""
    drawer = Drawer(rich_model, 7)
    together = draw_organizations(Chunk(drawer, range(30)))
    assert draw_organizations(Chunk(drawer, range(17, 18))) == together[17:18]
    assert draw_organizations(Chunk(drawer, range(10, 20))) == together[10:20]


def test_text_of_the_model_is_kept(rich_model: NoiseModel) -> None:
    """Archetype names with quotes and accents arrive unchanged."""
    chunk = Chunk(Drawer(rich_model, 1), range(3))
    names = tuple(f'"{name}" été' for name in chunk.draws.archetype_names)
    chunk.draws = dataclasses.replace(chunk.draws, archetype_names=names)
    text = msgspec.json.encode(draw_organizations(chunk))
    assert all(organization["archetype"] in names for organization in orjson.loads(text))


def test_names_are_told_apart(rich_model: NoiseModel) -> None:
    """The first job of a pipeline is named after it alone, the others and repeated tasks by what they add."""
    organizations = create_seed(rich_model, 19071990, 200).organizations
    jobs, tasks = [], []
    for organization in organizations:
        pipelines = {pipeline.key: pipeline.name for pipeline in organization.pipelines}
        names = {job.key: job.name for job in organization.jobs}
        jobs += [
            (job.name, f"Job for {pipelines[job.pipeline]}")
            for job in organization.jobs
            if not job.is_template
        ]
        tasks += [
            (task.name, f"{task.action.title()} {names[task.job]}") for task in organization.scheduled_tasks
        ]
    for pairs, more in ((jobs, r" \(.+\)"), (tasks, r" #\d+")):
        assert all(name.startswith(base) for name, base in pairs)
        added = {name.removeprefix(base) for name, base in pairs}
        assert "" in added
        assert len(added) > 1
        assert all(re.fullmatch(more, text) for text in added - {""})


def test_no_organization_is_an_empty_document(rich_model: NoiseModel) -> None:
    """Zero organizations are a document too."""
    assert create_seed(rich_model, 1, 0).organizations == []


def test_a_limit_gives_way_to_what_an_organization_needs(rich_model: NoiseModel) -> None:
    """An administrator, the pipelines and an engine of its jobs are there where all limits are zero."""
    chunk = Chunk(Drawer(rich_model, 1), range(60))
    zero = np.zeros(60, dtype=np.int64)
    chunk.draws = dataclasses.replace(chunk.draws, config=chunk.draws.config | dict.fromkeys(COUNTED, zero))
    organizations = draw_organizations(chunk)
    assert all(organization.config.max_users == len(organization.users) for organization in organizations)
    origin = provenance(rich_model, 1, 60)
    check_references(SeedDocument("psr-seed/1", origin, {}, organizations), "seed.json")
