"""Job templates and jobs of a range of organizations."""

from itertools import repeat

import numpy as np

from psrlib.arrays import IntArray
from psrlib.seed.chunk import Chunk
from psrlib.seed.columns import Rows, ranks
from psrlib.seed.designs import draw_words
from psrlib.seed.document import Job, Pipeline
from psrlib.seed.records import Entities, build, each
from psrlib.seed.streams import uniform
from psrlib.seed.vocabulary import ENGINE_LABELS, PARAMETERS, QUALIFIERS, TAGS

TEMPLATE_SHARE_BITS = 2  # one job in 2**2 is an instance of a template, where the organization has templates
OTHER_VALUES = {name: other for name, _, other in PARAMETERS}  # what a job sets instead of the pipeline's


def draw_templates(chunk: Chunk, pipelines: Entities[Pipeline]) -> tuple[Entities[Job], IntArray]:
    """Draw the job templates of a chunk; return them and the place of each one's pipeline in the chunk."""
    rows = chunk.rows("job_templates")
    pipeline, n_tags, tag = chunk.words("job_templates", rows, 3)
    place = rows.spread(pipelines.rows.offsets[:-1]) + uniform(pipeline, rows.spread(pipelines.rows.counts))
    of = each(pipelines.records, place.tolist())
    templates = build(
        Job,
        "template",
        rows,
        name=_names("Template", of, ranks(place)),
        pipeline=[pipeline.key for pipeline in of],
        owner=[pipeline.owner for pipeline in of],
        status=repeat("INACTIVE"),
        labels=repeat(ENGINE_LABELS[:1]),
        instances=repeat(1),
        tags=draw_words(TAGS, tag, chunk.draw("job_tags", rows, n_tags)),
        parameters=[pipeline.parameters for pipeline in of],
        is_template=repeat(True),
        template=repeat(None),
    )
    return templates, place


def draw_jobs(
    chunk: Chunk, pipelines: Entities[Pipeline], templates: Entities[Job], templates_pipeline: IntArray
) -> Entities[Job]:
    """Draw the jobs of a chunk without its templates."""
    rows = chunk.rows("jobs")
    instances, n_tags, tag, template = chunk.words("jobs", rows, 4)
    place = rows.spread(pipelines.rows.offsets[:-1]) + chunk.inside["jobs"]["pipeline"]
    n_templates = rows.spread(templates.rows.counts)
    is_instance = (n_templates > 0) & (template & np.uint64((1 << TEMPLATE_SHARE_BITS) - 1) == 0)
    first = rows.spread(templates.rows.offsets[:-1])
    template_place = np.where(is_instance, first + uniform(template, n_templates), -1)
    if len(templates_pipeline):
        place = np.where(is_instance, templates_pipeline[template_place], place)
    of = each(pipelines.records, place.tolist())
    sets_parameter = (is_instance | (tag & np.uint64(3) == 0)).tolist()
    n_engines = np.maximum(rows.spread(chunk.count("engines")), 1)
    return build(
        Job,
        "job",
        rows,
        name=_names("Job", of, ranks(place)),
        pipeline=[pipeline.key for pipeline in of],
        owner=chunk.owners("jobs"),
        status=each(("INACTIVE", "ACTIVE"), active_jobs(chunk, rows).tolist()),
        labels=draw_words(ENGINE_LABELS, np.zeros_like(tag), chunk.engine_labels),
        instances=np.minimum(
            chunk.column("jobs", "instances", "job_instances", rows, instances), n_engines
        ).tolist(),
        tags=draw_words(TAGS, tag, chunk.column("jobs", "tags", "job_tags", rows, n_tags)),
        parameters=[
            _first_changed(pipeline) if sets else {}
            for pipeline, sets in zip(of, sets_parameter, strict=True)
        ],
        is_template=repeat(False),
        template=each([*(job.key for job in templates.records), None], template_place.tolist()),
    )


def active_jobs(chunk: Chunk, rows: Rows) -> IntArray:
    """Return 1 for each job that should be ACTIVE, else 0; they are spread evenly over the organization's."""
    n_jobs, n_active = rows.spread(rows.counts), rows.spread(chunk.count("active_jobs"))
    return (rows.index + 1) * n_active // n_jobs - rows.index * n_active // n_jobs


def _first_changed(pipeline: Pipeline) -> dict[str, str]:
    """Return the first runtime parameter of a pipeline, where it has any, with another value."""
    name = next(iter(pipeline.parameters), None)
    return {name: OTHER_VALUES[name]} if name else {}


def _names(kind: str, pipelines: list[Pipeline], rank: IntArray) -> list[str]:
    """Return names as the UI gives them, with a word for the further jobs of a pipeline."""
    words = [_qualifier(number) for number in range(int(rank.max(initial=0)) + 1)]
    return [
        f"{kind} for {pipeline.name}{words[number]}"
        for pipeline, number in zip(pipelines, rank.tolist(), strict=True)
    ]


def _qualifier(rank: int) -> str:
    if rank == 0:
        return ""
    cycle, word = divmod(rank - 1, len(QUALIFIERS))
    return f" ({QUALIFIERS[word]}{f' {cycle + 1}' if cycle else ''})"
