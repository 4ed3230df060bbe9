"""Models from strangers: one sentence at loading, or a document that is in order."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.memory import run_measured

from psrlib import paths
from psrlib.errors import InputError
from psrlib.model import NoiseModel
from psrlib.seed import create_seed
from psrlib.seed.check import check_document

PEAK_MB = 300  # of a process that meets all attacks one after the other
LEAF = {"cells": [0], "weights": [1]}
Change = Callable[[dict[str, Any]], Any]


def metric(name: str, spec: Any) -> Change:
    """Return what changes a metric of the first archetype."""
    return lambda model: model["archetypes"][0]["metrics"].update({name: spec})


def detail(name: str, value: Any) -> Change:
    """Return what adds a value to a detail table."""

    def change(model: dict[str, Any]) -> None:
        model["details"][name]["values"].append(value)
        model["details"][name]["weights"].append(1)

    return change


def deep(node: dict[str, Any], depth: int) -> dict[str, Any]:
    for _ in range(depth):
        leaf = {"cells": [0], "weights": [1]}
        node = {"metric": "users", "at_most": 1, "yes": node, "no": leaf}
    return node


def bushy(depth: int) -> dict[str, Any]:
    """Return a tree with ``2 ** depth`` leaves."""
    below = bushy(depth - 1) if depth else {}
    return {"metric": "users", "at_most": 1, "yes": below, "no": below} if depth else LEAF


def forest(**fields: Any) -> Change:
    """Return what gives the first archetype a forest for its pipelines."""
    conditional = {
        "given": ["users"],
        "cells": [0, 1 << 32],
        "trees": [{"cells": [0], "weights": [1]}],
    } | fields
    dependence = {"kind": "forest", "conditionals": {"pipelines": conditional}}
    return lambda model: model["archetypes"][0].update(dependence=dependence)


def many_metrics(model: dict[str, Any]) -> None:
    model["archetypes"][0]["metrics"].update({f"m{i}": 1 for i in range(100_000)})


ATTACKS: dict[str, tuple[Change, str]] = {
    "users without end": (
        metric("users", 10**8),
        r'metric "users": can be 100000000; expected at most 100000',
    ),
    "jobs beyond 64 bits": (metric("groups", 10**30), 'metric "groups": '),
    "a name with a line break": (
        lambda model: model["archetypes"][0].update(name="a\nb"),
        r"names: .*without line breaks",
    ),
    "metrics without end": (many_metrics, "length <= 200"),
    "archetypes without end": (
        lambda model: model.update(archetypes=model["archetypes"] * 600),
        "length <= 1000",
    ),
    "stages that fill the memory": (
        detail("pipeline_shape", [10**8, 1, 0, 0]),
        r"details, pipeline_shape: .* <= 1000",
    ),
    "more branches than stages": (detail("pipeline_shape", [3, 3, 0, 0]), "room for at most 2 branches"),
    "commits without end": (detail("commits", 10**8), "details, commits: .* <= 1000"),
    "labels without end": (detail("pipeline_labels", 10**8), "details, pipeline_labels: .* <= 1000"),
    "a text for a number": (detail("job_tags", "many"), r"details, job_tags: .* must be an integer, not str"),
    "an unknown action": (detail("schedule_action", "DELETE"), "details, schedule_action: "),
    "a tree without end": (forest(trees=[deep(LEAF, 400)]), "deeper than 64|not JSON"),
    "a tree deeper than any stack": (forest(trees=[deep(LEAF, 900)]), "deeper than 64|not JSON"),
    "cells without end": (forest(cells=[*range(200_000), 1 << 32]), "200001 cells; expected at most 1024"),
    "a table of leaves": (
        forest(cells=[*range(1000), 1 << 32], trees=[bushy(10)]),
        "leaves of a tree have more than 1000000 weights",
    ),
}


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    model: dict[str, Any] = json.loads(paths.SAMPLE_MODEL.read_text())
    return model


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_one_sentence(sample: dict[str, Any], name: str) -> None:
    """The field is named, with its bound."""
    change, words = ATTACKS[name]
    model = copy.deepcopy(sample)
    change(model)
    with pytest.raises(InputError, match=words) as caught:
        NoiseModel.from_bytes(json.dumps(model).encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b'{"format": 5, x', b"[" * 10**6, b'{"a":' * 10**6, b"\xff", b"", b"5"])
def test_what_is_no_model_is_one_sentence(text: bytes) -> None:
    """Neither damage nor depth gives a traceback."""
    with pytest.raises(InputError, match="noise model: "):
        NoiseModel.from_bytes(text)


def test_no_attack_takes_memory(sample: dict[str, Any], tmp_path: Path) -> None:
    """One process meets them all and stays below 300 MB."""
    for number, (change, _) in enumerate(ATTACKS.values()):
        model = copy.deepcopy(sample)
        change(model)
        (tmp_path / f"{number}.json").write_text(json.dumps(model))
    (tmp_path / "deep.json").write_bytes(b'{"a":' * 10**6)
    [refused], peak_mb = run_measured(MEET, str(tmp_path))
    assert int(refused) == len(ATTACKS) + 1
    assert peak_mb < PEAK_MB


MEET = """
import pathlib, sys
from psrlib.errors import InputError
from psrlib.model import NoiseModel
refused = 0
for path in pathlib.Path(sys.argv[1]).iterdir():
    try:
        NoiseModel.load(path)
    except InputError:
        refused += 1
print(refused)
"""

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["jobs", "users", "uniform", "\0", "\ud800"]),
    st.builds(list),
    st.builds(dict),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to values of a model but the whole; of long lists to the first few only."""
    items = (
        value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    )
    found = [path] if path else []
    for key, item in items:
        found += places(item, (*path, key))
    return found


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_mutated_model_is_refused_or_draws_documents_in_order(data: st.DataObject) -> None:
    """Values replaced or left out anywhere: a sentence, or a seed document that every check lets pass."""
    model = json.loads(paths.SAMPLE_MODEL.read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(model)))
        parent = model
        for step in path[:-1]:
            parent = parent[step]
        if data.draw(st.booleans()):
            parent[path[-1]] = data.draw(JUNK)
        else:
            del parent[path[-1]]
    document, message = None, ""
    try:
        document = create_seed(NoiseModel.from_bytes(json.dumps(model).encode()), 1, 3)
    except InputError as error:
        message = str(error)
    assert message or document
    if document:
        check_document(document, "seed.json")
