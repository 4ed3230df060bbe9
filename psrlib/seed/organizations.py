"""Whole organizations: everything that the kinds of entities draw, put together."""

from typing import Any

from psrlib.seed.automation import draw_subscriptions, draw_tasks, draw_topologies
from psrlib.seed.chunk import Chunk
from psrlib.seed.designs import draw_connections, draw_fragments, draw_pipelines
from psrlib.seed.document import Config, Organization
from psrlib.seed.jobs import draw_jobs, draw_templates
from psrlib.seed.people import draw_engines, draw_groups, draw_users


def draw_organizations(chunk: Chunk) -> list[Organization]:
    """Return the organizations of a chunk; each is the same alone as among others."""
    pipelines = draw_pipelines(chunk)
    templates, templates_pipeline = draw_templates(chunk, pipelines)
    jobs = draw_jobs(chunk, pipelines, templates, templates_pipeline)
    both = zip(templates.by_organization(), jobs.by_organization(), strict=True)
    draws = chunk.draws
    columns: tuple[list[Any], ...] = (
        chunk.organization_ids,
        [f"Organization {number + 1:04d}" for number in chunk.organizations],
        [draws.archetype_names[number] for number in draws.archetype.tolist()],
        _configs(chunk),
        draw_groups(chunk).by_organization(),
        draw_users(chunk).by_organization(),
        draw_engines(chunk).by_organization(),
        draw_connections(chunk).by_organization(),
        draw_fragments(chunk).by_organization(),
        pipelines.by_organization(),
        [first + others for first, others in both],
        draw_tasks(chunk, jobs).by_organization(),
        draw_subscriptions(chunk, jobs).by_organization(),
        draw_topologies(chunk, jobs).by_organization(),
    )
    return [Organization(*fields) for fields in zip(*columns, strict=True)]


def _configs(chunk: Chunk) -> list[Config]:
    """Return the configuration of each organization; -1 among the draws stands for no limit of its own."""
    enabled, *limits = (chunk.limit(name).tolist() for name in Config.__struct_fields__)
    return [
        Config(bool(flag), *(limit if limit >= 0 else None for limit in row))
        for flag, *row in zip(enabled, *limits, strict=True)
    ]
