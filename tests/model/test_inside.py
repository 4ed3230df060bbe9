"""Drawing what is inside organizations: patterns, urns, links."""

import copy
import json
from typing import Any

import numpy as np
import pytest

from psrlib.errors import InputError
from psrlib.model import NoiseModel
from psrlib.model.inside import REPEAT_ONE, Column, Inside, Rows, share_out, urn
from psrlib.model.specs import ColumnSpec, TableSpec

N = 20_000


@pytest.fixture
def group() -> dict[str, Any]:
    """Two styles: short pipelines where there are few jobs, long ones else; commits are twice the stages."""
    half = 1 << 31
    leaves = [{"cells": [0], "weights": [1]}, {"cells": [1], "weights": [1]}]
    stages = {
        "tables": [{"low": [2, 10], "high": [2, 19], "weight": [1, 1]}],
        "cells": [0, half, 2 * half],
        "patterns": [[1, 0], [0, 1]],
    }
    commits = {
        "tree": {"metric": "stages", "at_most": 2, "yes": leaves[0], "no": leaves[1]},
        "tables": [{"low": [4], "weight": [1]}, {"low": [20], "weight": [1]}],
        "cells": [0, 2 * half],
        "patterns": [[1], [1]],
    }
    tree = {"metric": "jobs", "at_most": 3, "yes": leaves[0], "no": leaves[1]}
    return {
        "kind": "pipelines",
        "columns": {"stages": stages, "commits": commits},
        "styles": [[1, 0], [0, 1]],
        "repeats": [0, 16],
        "style": {"given": ["jobs"], "cells": [0, half, 2 * half], "trees": [tree]},
    }


def model_with(document: dict[str, Any], group: dict[str, Any]) -> NoiseModel:
    inside = {"entities": [group], "links": {}}
    return NoiseModel.from_bytes(json.dumps({**document, "inside": inside}).encode(), "model.json")


def draw(inside: Inside, **known: list[int]) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    counts = (
        dict.fromkeys(("users", "pipelines", "jobs", "scheduled_tasks"), [0] * len(known["jobs"])) | known
    )
    arrays = {name: np.array(values) for name, values in counts.items()}

    def words(name: str, counts: np.ndarray, width: int) -> list[np.ndarray]:
        return list(rng.integers(0, 2**64, (width, int(counts.sum())), dtype=np.uint64))

    style_words = rng.integers(0, 2**64, (len(known["jobs"]), inside.n_words), dtype=np.uint64)
    return inside.draw(arrays, style_words, words)


def test_the_style_follows_the_counts(document: dict[str, Any], group: dict[str, Any]) -> None:
    """Organizations of few jobs have pipelines of two stages and four commits, others long ones."""
    drawn = draw(model_with(document, group).inside, users=[1, 1], pipelines=[50, 50], jobs=[3, 4])[
        "pipelines"
    ]
    assert set(drawn["stages"][:50]) == {2}
    assert set(drawn["commits"][:50]) == {4}
    assert set(drawn["stages"][50:]) <= set(range(10, 20))
    assert len(set(drawn["stages"][50:])) > 5
    assert set(drawn["commits"][50:]) == {20}


def test_a_model_without_inside_shares_by_default() -> None:
    """Jobs take most pipelines in turn, owners are users of the organization."""
    drawn = draw(Inside(None), users=[5], pipelines=[40], jobs=[40], scheduled_tasks=[9])
    assert len(set(drawn["jobs"]["pipeline"])) > 25
    assert set(drawn["jobs"]["owner"]) <= set(range(5))
    assert set(drawn["scheduled_tasks"]["job"]) <= set(range(40))


def change(group: dict[str, Any], *path: Any, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(group)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("repeats",), [0], "1 repeats for 2 styles"),
        (("columns", "stages", "patterns"), [[1, 0]], "expected 2 patterns of 2 weights"),
        (("columns", "stages", "cells"), [0, 5, 7], "cells must ascend from 0 to"),
        (("columns", "commits", "tree", "metric"), "colour", 'asks for "colour"'),
        (("style", "cells"), [0, 1 << 32], "1 cells for 2 styles"),
        (
            ("columns", "stages", "tables", 0, "high"),
            [2, 10**8],
            "stages can be 2 to 100000000; expected 2 to",
        ),
        (("kind",), "jobs", "jobs have no column stages"),
        (("styles",), [[0, 0], [0, 1]], "do not sum to something positive"),
    ],
    ids=["repeats", "patterns", "cells", "tree", "styles", "bound", "kind", "weights"],
)
def test_a_fault_inside_is_named(
    document: dict[str, Any], group: dict[str, Any], path: tuple[Any, ...], value: Any, message: str
) -> None:
    """File, part and fault in one sentence."""
    with pytest.raises(InputError, match=message) as error:
        model_with(document, change(group, *path, value=value))
    assert str(error.value).startswith("model.json: inside")


def test_a_certain_choice_is_certain() -> None:
    """Weights of all or nothing do not overflow a word."""
    table = TableSpec(low=[1, 2, 9], weight=[5, 0, 5])
    column = Column(ColumnSpec(tables=[table], cells=[0, 1 << 32], patterns=[[10_000]]), 1, [])
    words = np.array([0, 2**63 - 1, 2**31, 2**64 - 1, 2**32 - 1], dtype=np.uint64)
    values, _ = column.draw(np.zeros(5, dtype=np.int64), words, {})
    assert values.tolist() == [1, 9, 9, 9, 9]
    rows = Rows.from_weights([[1, 0], [0, 1]])
    assert rows.look_up(np.array([0, 1, 0, 1]), words[:4]).tolist() == [0, 1, 0, 1]


def test_an_urn_repeats_as_its_formula_says(rng: np.random.Generator) -> None:
    """The second entity is like the first with the chance 1 / (r + 1); with 0 never; sources come before."""
    words = rng.integers(0, 2**64, 2 * N, dtype=np.uint64)
    index = np.tile([0, 1], N)
    for repeat, expected in ((1, 1 / 2), (4, 1 / 5), (0, 0)):
        source = urn(index, np.full(2 * N, repeat * REPEAT_ONE), words)
        alike = (source[1::2] == np.arange(0, 2 * N, 2)).mean()
        assert abs(alike - expected) < 0.015
        assert (source <= np.arange(2 * N)).all()


def test_the_number_of_different_ones_is_that_of_a_chinese_restaurant(rng: np.random.Generator) -> None:
    """Of 50 entities, sum of r / (r + i) start anew (Ewens)."""
    n = 50
    index = np.tile(np.arange(n), 400)
    source = urn(
        index, np.full(len(index), 2 * REPEAT_ONE), rng.integers(0, 2**64, len(index), dtype=np.uint64)
    )
    anew = (source == np.arange(len(index))).reshape(400, n).sum(axis=1).mean()
    assert abs(anew - sum(2 / (2 + i) for i in range(n))) < 0.4


@pytest.mark.parametrize(
    ("style", "different"),
    [((0, 256, 0), 20), ((256, 0, 0), 1), ((128, 256, 0), 10.5), ((0, 0, 0), 12.8)],
    ids=["in-turn", "all-one", "runs-of-two", "anyone"],
)
def test_links_run_take_turns_or_choose_anyone(
    style: tuple[int, int, int], different: float, rng: np.random.Generator
) -> None:
    """Twenty entities over twenty others: so many different ones in the mean."""
    index = np.tile(np.arange(20), 500)
    words = list(rng.integers(0, 2**64, (2, len(index)), dtype=np.uint64))
    chosen = share_out(np.tile(style, (len(index), 1)), index, np.full(len(index), 20), words)
    found = np.mean([len(set(row)) for row in chosen.reshape(500, 20).tolist()])
    assert abs(found - different) < 0.5
