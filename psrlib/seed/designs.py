"""Connections, fragments and pipelines of a range of organizations."""

import numpy as np
from numpy.typing import NDArray

from psrlib.arrays import IntArray, WordArray
from psrlib.seed.chunk import Chunk
from psrlib.seed.columns import Rows, nearest_rows
from psrlib.seed.document import Connection, Fragment, Pipeline
from psrlib.seed.records import Entities, build, each, each_pair, first_keys, neighbours
from psrlib.seed.streams import uniform
from psrlib.seed.vocabulary import (
    CONNECTION_NAMES,
    CONNECTIONS,
    FRAGMENT_NAMES,
    LABELS,
    PARAMETERS,
    PIPELINE_NAMES,
    TAGS,
)
from psrlib.words import LIMIT_OF, NOT_SET

FEWEST_STAGES = 2  # of a pipeline: an origin and a destination
FRAGMENT_PER_PIPELINES = 20  # pipelines to a fragment; 3 % of public pipelines use one (pipeline-json, 9)


def draw_connections(chunk: Chunk) -> Entities[Connection]:
    """Draw the connections of a chunk; every second one has a tag."""
    rows = chunk.rows("connections")
    owner, kind, tag = chunk.words("connections", rows, 3)
    kinds = [CONNECTIONS[i] for i in uniform(kind, len(CONNECTIONS)).tolist()]
    return build(
        Connection,
        "connection",
        rows,
        name=chunk.names("connections", rows, CONNECTION_NAMES),
        type=[name for name, _ in kinds],
        owner=_designers(chunk, rows, owner),
        configuration=[configuration for _, configuration in kinds],
        tags=draw_words(TAGS, tag, (tag & 1).astype(np.int64)),
    )


def draw_fragments(chunk: Chunk) -> Entities[Fragment]:
    """Draw the fragments of a chunk, of 1 to 3 processors; every second one has a label."""
    rows = Rows(n_fragments(chunk))
    owner, stages, label = chunk.words("fragments", rows, 3)
    return build(
        Fragment,
        "fragment",
        rows,
        name=chunk.names("fragments", rows, FRAGMENT_NAMES),
        owner=_designers(chunk, rows, owner),
        stages=(1 + uniform(stages, 3)).tolist(),
        labels=draw_words(LABELS, label, (label & 1).astype(np.int64)),
    )


def draw_pipelines(chunk: Chunk) -> Entities[Pipeline]:
    """Draw the pipelines of a chunk."""
    rows = chunk.rows("pipelines")
    shape, commits, n_labels, label, parameter, fragment, connection = chunk.words("pipelines", rows, 7)
    stages, branches, event_lane, n_parameters = _shapes(chunk, rows, shape)
    fragments, connections = rows.spread(n_fragments(chunk)), rows.spread(chunk.count("connections"))
    # a fragment takes the place of a processor; one pipeline in four that could use one does
    room = stages - 1 - branches - event_lane > 0
    with_fragment = room & (fragments > 0) & (fragment & np.uint64(3) == 0)
    with_connection = (connections > 0) & (connection & np.uint64(1) == 0)
    return build(
        Pipeline,
        "pipeline",
        rows,
        name=chunk.names("pipelines", rows, PIPELINE_NAMES),
        owner=chunk.owners("pipelines"),
        stages=stages.tolist(),
        branches=branches.tolist(),
        event_lane=(event_lane > 0).tolist(),
        commits=chunk.column("pipelines", "commits", "commits", rows, commits).tolist(),
        definition_bytes=chunk.inside["pipelines"].get("definition_bytes", np.zeros_like(stages)).tolist(),
        labels=draw_words(
            LABELS, label, chunk.column("pipelines", "labels", "pipeline_labels", rows, n_labels)
        ),
        parameters=each_pair(parameters, uniform(parameter, len(PARAMETERS)), n_parameters),
        fragment=_some_keys("fragment", with_fragment, uniform(fragment, fragments)),
        connection=_some_keys("connection", with_connection, uniform(connection, connections)),
    )


def _designers(chunk: Chunk, rows: Rows, words: WordArray) -> list[str]:
    """Return an owner for each connection or fragment: that of any pipeline, else the administrator."""
    pipelines = chunk.rows("pipelines")
    first, n = rows.spread(pipelines.offsets[:-1]), rows.spread(pipelines.counts)
    owners = [*chunk.owners("pipelines"), *first_keys("user", 1)]
    return each(owners, np.where(n > 0, first + uniform(words, n), -1).tolist())


def _shapes(chunk: Chunk, rows: Rows, words: WordArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return stages, branches, event lanes (0 or 1) and parameters of each pipeline, shape (n,) each.

    Where the model draws stages (and parameters), branches and event lane are those of a shape with the
    nearest number of stages.
    """
    details = chunk.details("pipeline_shape")
    shapes = np.array(details.values, dtype=np.int64).reshape(-1, 4)
    drawn = chunk.inside["pipelines"]
    if "stages" not in drawn:
        stages, branches, event_lane, n_parameters = shapes[chunk.look_up("pipeline_shape", rows, words)].T
        return stages, branches, event_lane, n_parameters
    stages = np.maximum(drawn["stages"], FEWEST_STAGES)
    nearest = nearest_rows(details.tables[0], shapes[: len(details.tables[0]), 0], stages, words)
    _, branches, event_lane, n_parameters = shapes[nearest].T
    event_lane = np.minimum(event_lane, stages - FEWEST_STAGES)
    branches = np.minimum(branches, stages - 1 - event_lane)
    return stages, branches, event_lane, drawn.get("parameters", n_parameters)


def n_fragments(chunk: Chunk) -> IntArray:
    """Return how many fragments each organization has: as drawn, or in proportion to its pipelines.

    A proportion stays within the limit that both count against.
    """
    if "fragments" in chunk.draws.counts:
        return chunk.count("fragments")
    pipelines, limit = chunk.count("pipelines"), chunk.limit(LIMIT_OF["fragments"])
    room = np.where(limit == NOT_SET, pipelines, limit - pipelines)
    return np.minimum(pipelines // FRAGMENT_PER_PIPELINES, room)


def draw_words(vocabulary: list[str], words: WordArray, n: IntArray) -> list[list[str]]:
    """Return ``n`` neighbouring entries of a vocabulary for each entity; those beyond it have a number."""
    size = len(vocabulary)
    further = [f"{vocabulary[i % size]} {i // size + 1}" for i in range(size, int(n.max(initial=0)))]

    def some(start: int, n: int) -> list[str]:
        return neighbours(vocabulary + further, start, n, max(size, n))

    return each_pair(some, uniform(words, size), n)


def parameters(start: int, n: int) -> dict[str, str]:
    """Return ``n`` neighbouring runtime parameters; those beyond the vocabulary have a number."""
    size = len(PARAMETERS)
    return {
        f"{name}_{i // size + 1}" if i >= size else name: value
        for i in range(n)
        for name, value, _ in [PARAMETERS[(start + i) % size]]
    }


def _some_keys(kind: str, chosen: NDArray[np.bool_], number: IntArray) -> list[str | None]:
    """Return the key with a number in the organization where it is chosen, else None."""
    keys = first_keys(kind, int(number.max(initial=0)) + 1)
    return each([*keys, None], np.where(chosen, number, -1).tolist())
