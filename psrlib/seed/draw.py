"""Drawing the entities: pipelines, jobs and what acts on them, as columns of a chunk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from psrlib.seed.columns import Chunk, Rows
from psrlib.seed.streams import IntArray, WordArray, uniform
from psrlib.seed.vocabulary import LABELS, PARAMETERS, TAGS

FRAGMENT_PER_PIPELINES = 20  # pipelines to a fragment; 3 % of public pipelines use one (pipeline-json, 9)
TEMPLATE_SHARE_BITS = 2  # one job in 2**2 is an instance of a template, where the organization has templates
CODE_BITS = 12  # of a code that hold the number of entries
OWN_PIPELINE_BITS = 2  # all but one job in 2**2 take the pipelines in turn; the rest take any


def ranks(groups: IntArray) -> IntArray:
    """Return the number of earlier entries of the same group, shape (n,).

    Examples
    --------
    >>> ranks(np.array([5, 7, 5, 5, 7])).tolist()
    [0, 0, 1, 2, 1]
    """
    if not len(groups):
        return groups
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    lengths = np.diff(np.append(starts, len(groups)))
    result = np.empty_like(groups)
    result[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
    return result


def code(words: WordArray, choices: Sequence[object], n: IntArray) -> IntArray:
    """Return one integer for ``n`` neighbouring entries of a list, from an entry that the words choose."""
    start = uniform(words, len(choices))
    return np.where(n > 0, start << CODE_BITS, 0) + np.minimum(n, (1 << CODE_BITS) - 1)


@dataclass(frozen=True)
class Pipelines:
    """Columns of pipelines; ``fragment`` and ``connection`` are numbers in the organization, -1 for none."""

    rows: Rows
    owner: IntArray
    shape: IntArray
    commits: IntArray
    labels: IntArray
    parameters: IntArray
    fragment: IntArray
    connection: IntArray


@dataclass(frozen=True)
class Jobs:
    """Columns of jobs or job templates.

    ``pipeline`` and ``template`` are positions in the chunk, -1 for none; ``override`` is the code of the
    pipeline's parameters where the job sets one of them, else 0.
    """

    rows: Rows
    owner: IntArray
    pipeline: IntArray
    rank: IntArray
    instances: IntArray
    tags: IntArray
    override: IntArray
    active: IntArray
    template: IntArray


@dataclass(frozen=True)
class OnJobs:
    """Columns of what acts on a job: ``kind`` is what is done, ``job`` a position in the chunk."""

    rows: Rows
    owner: IntArray
    job: IntArray
    kind: IntArray
    rank: IntArray
    other: IntArray
    word: WordArray


def n_fragments(chunk: Chunk) -> IntArray:
    """Return how many fragments each organization has: as drawn, or in proportion to its pipelines."""
    if "fragments" in chunk.draws.counts:
        return chunk.count("fragments")
    return chunk.count("pipelines") // FRAGMENT_PER_PIPELINES


def draw_pipelines(chunk: Chunk) -> Pipelines:
    """Draw the pipelines of a chunk."""
    rows = chunk.rows("pipelines")
    owner, shape, commits, n_labels, start, parameter, fragment, connection = chunk.words(
        "pipelines", rows, 8
    )
    shapes = chunk.look_up("pipeline_shape", rows, shape)
    shape_rows = np.array(chunk.details("pipeline_shape").values, dtype=np.int64).reshape(-1, 4)
    stages, branches, event_lane, n_parameters = shape_rows[shapes].T
    fragments, connections = rows.spread(n_fragments(chunk)), rows.spread(chunk.count("connections"))
    # a fragment takes the place of a processor; one pipeline in four that could use one does
    room = stages - 1 - branches - event_lane > 0
    with_fragment = room & (fragments > 0) & (fragment & np.uint64(3) == 0)
    with_connection = (connections > 0) & (connection & np.uint64(1) == 0)
    return Pipelines(
        rows,
        chunk.owner(rows, owner),
        shapes,
        chunk.draw("commits", rows, commits),
        code(start, LABELS, chunk.draw("pipeline_labels", rows, n_labels)),
        code(parameter, PARAMETERS, n_parameters),
        np.where(with_fragment, uniform(fragment, fragments), -1),
        np.where(with_connection, uniform(connection, connections), -1),
    )


def draw_templates(chunk: Chunk, pipelines: Pipelines) -> Jobs:
    """Draw the job templates of a chunk."""
    rows = chunk.rows("job_templates")
    owner, pipeline, n_tags, tag = chunk.words("job_templates", rows, 4)
    chosen = uniform(pipeline, rows.spread(pipelines.rows.counts))
    position = rows.spread(pipelines.rows.offsets[:-1]) + chosen
    nothing = np.zeros_like(owner, dtype=np.int64)
    return Jobs(
        rows,
        chunk.owner(rows, owner),
        position,
        ranks(position),
        nothing + 1,
        code(tag, TAGS, chunk.draw("job_tags", rows, n_tags)),
        nothing,
        nothing,
        nothing - 1,
    )


def draw_jobs(chunk: Chunk, pipelines: Pipelines, templates: Jobs) -> Jobs:
    """Draw the jobs of a chunk; the active ones are spread evenly over an organization's jobs."""
    rows = chunk.rows("jobs")
    owner, choice, instances, n_tags, tag, template = chunk.words("jobs", rows, 6)
    n_pipelines = rows.spread(pipelines.rows.counts)
    in_turn = choice & np.uint64((1 << OWN_PIPELINE_BITS) - 1) != 0
    own = np.where(in_turn, rows.index % np.maximum(n_pipelines, 1), uniform(choice, n_pipelines))
    position = rows.spread(pipelines.rows.offsets[:-1]) + own
    n_templates = rows.spread(templates.rows.counts)
    is_instance = (n_templates > 0) & (template & np.uint64((1 << TEMPLATE_SHARE_BITS) - 1) == 0)
    of = np.where(is_instance, rows.spread(templates.rows.offsets[:-1]) + uniform(template, n_templates), -1)
    if len(templates.pipeline):
        position = np.where(is_instance, templates.pipeline[of], position)
    n_jobs, n_active = rows.spread(rows.counts), rows.spread(chunk.count("active_jobs"))
    active = (rows.index + 1) * n_active // n_jobs - rows.index * n_active // n_jobs
    n_engines = np.maximum(rows.spread(chunk.count("engines")), 1)
    return Jobs(
        rows,
        chunk.owner(rows, owner),
        position,
        ranks(position),
        np.minimum(chunk.draw("job_instances", rows, instances), n_engines),
        code(tag, TAGS, chunk.draw("job_tags", rows, n_tags)),
        np.where(is_instance | (tag & np.uint64(3) == 0), pipelines.parameters[position], 0),
        active,
        of,
    )


def draw_tasks(chunk: Chunk, jobs: Jobs) -> OnJobs:
    """Draw the scheduled tasks of a chunk.

    A START task gets a job that should be ACTIVE and a STOP task one that should be INACTIVE, so that a task
    that fires leaves the job in the state the document asks for. Where an organization has no such job, the
    task takes the other action. UPGRADE may have any job: every job already runs the newest commit.
    """
    rows = chunk.rows("scheduled_tasks")
    owner, action, job, cron = chunk.words("scheduled_tasks", rows, 4)
    actions = chunk.details("schedule_action").values
    kinds = np.array([("START", "STOP", "UPGRADE").index(action) for action in actions], dtype=np.int64)
    kind = kinds[chunk.look_up("schedule_action", rows, action)]
    n_jobs, n_active = rows.spread(jobs.rows.counts), rows.spread(chunk.count("active_jobs"))
    kind = np.where((kind == 0) & (n_active == 0), 1, kind)
    kind = np.where((kind == 1) & (n_active == n_jobs), 0, kind)
    active_first = np.argsort(jobs.rows.organization * 2 + (1 - jobs.active), kind="stable")
    first = np.where(kind == 1, n_active, 0)
    n = np.choose(kind, [n_active, n_jobs - n_active, n_jobs])
    position = active_first[rows.spread(jobs.rows.offsets[:-1]) + first + uniform(job, n)]
    return OnJobs(
        rows,
        chunk.owner(rows, owner),
        position,
        kind,
        ranks(position * 3 + kind),
        chunk.look_up("schedule_cron", rows, cron),
        cron,
    )


def draw_subscriptions(chunk: Chunk, jobs: Jobs) -> OnJobs:
    """Draw the subscriptions of a chunk; ``kind`` is the event, ``other`` the action."""
    rows = chunk.rows("subscriptions")
    owner, event, action, job = chunk.words("subscriptions", rows, 4)
    kind = chunk.look_up("subscription_event", rows, event)
    position = rows.spread(jobs.rows.offsets[:-1]) + uniform(job, rows.spread(jobs.rows.counts))
    return OnJobs(
        rows,
        chunk.owner(rows, owner),
        position,
        kind,
        ranks(position * len(chunk.details("subscription_event").values) + kind),
        chunk.look_up("subscription_action", rows, action),
        job,
    )
