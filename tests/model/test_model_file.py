"""The noise model file: every fault is one clear error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from psrlib.errors import InputError
from psrlib.model import NoiseModel

Change = Callable[[dict[str, Any]], Any]


def first(document: dict[str, Any]) -> dict[str, Any]:
    archetype: dict[str, Any] = document["archetypes"][0]
    return archetype


def gaussian(matrix: list[list[float]], *metrics: str) -> dict[str, Any]:
    return {"kind": "gaussian", "metrics": list(metrics), "correlation": matrix}


CURVE = {
    "terms": {"jobs": {"at": [1, 0], "score": [0, 0]}},
    "residual": {"low": [0], "high": [1], "weight": [1]},
}
CASES: list[tuple[str, Change, str]] = [
    ("format", lambda d: d.update(format="x"), '"format" is not'),
    ("no-archetype", lambda d: d.update(archetypes=[]), "at least one archetype"),
    ("weight-zero", lambda d: first(d).update(weight=0), "do not sum to something positive"),
    ("weight-negative", lambda d: first(d).update(weight=-1), "negative"),
    ("weight-text", lambda d: first(d).update(weight="1"), "weight must be a number"),
    ("no-users", lambda d: first(d)["metrics"].pop("users"), "metrics lack users"),
    ("no-jobs", lambda d: first(d)["metrics"].pop("jobs"), "give jobs and active_jobs"),
    (
        "family",
        lambda d: first(d)["metrics"].update(users={"family": "poisson", "mean": 3}),
        'has no "table"',
    ),
    (
        "field",
        lambda d: first(d)["metrics"]["users"].pop("low"),
        "metric \"users\": the field 'low' is missing",
    ),
    ("text", lambda d: first(d)["metrics"]["users"].update(low="2"), "low must be an integer"),
    ("reversed", lambda d: first(d)["metrics"]["users"].update(low=9), "low <= high"),
    (
        "exceeds",
        lambda d: first(d)["limits"].update(max_users=4),
        "can be 5, which exceeds its limit max_users = 4",
    ),
    ("limit", lambda d: first(d)["limits"].update(max_cats=4), 'unknown limit "max_cats"'),
    ("details", lambda d: d["details"].pop("commits"), "details lack commits"),
    ("detail-weights", lambda d: d["details"]["commits"].update(weights=[1]), "details, commits: "),
    ("kind", lambda d: first(d).update(dependence={"kind": "vine"}), 'kind is "vine"'),
    (
        "not-definite",
        lambda d: first(d).update(dependence=gaussian([[1, 2.0], [2.0, 1]], "users", "jobs")),
        "dependence: the correlation matrix is not positive definite",
    ),
    (
        "no-marginal",
        lambda d: first(d).update(dependence=gaussian([[1, 0], [0, 1]], "users", "cats")),
        "no marginal for cats",
    ),
    (
        "order",
        lambda d: first(d).update(dependence={"kind": "forest", "order": ["users"], "conditionals": {}}),
        "order must list every metric",
    ),
    (
        "curve",
        lambda d: first(d).update(
            dependence={
                "kind": "forest",
                "conditionals": {"users": {"location": CURVE}},
            }
        ),
        'the term of "jobs" needs ascending "at"',
    ),
    ("twice", lambda d: d["archetypes"].append(first(d)), 'two archetypes are named "small"'),
]


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_fault_is_named(document: dict[str, Any], model_path: Path, change: Change, message: str) -> None:
    """The error names file, archetype and field."""
    change(document)
    model_path.write_text(json.dumps(document))
    with pytest.raises(InputError) as raised:
        NoiseModel.load(model_path)
    assert message in str(raised.value)
    assert "model.json" in str(raised.value)


def test_active_and_inactive_jobs_count_against_the_limit_together(document: dict[str, Any]) -> None:
    """8 active and 8 inactive jobs exceed a limit of 15 jobs."""
    metrics = first(document)["metrics"]
    metrics["inactive_jobs"] = metrics.pop("jobs")
    first(document)["limits"]["max_jobs"] = 15
    with pytest.raises(InputError, match="can be 16"):
        NoiseModel.from_bytes(json.dumps(document).encode())


def test_a_metric_drawn_before_its_base_is_refused(document: dict[str, Any]) -> None:
    """A share of jobs needs the jobs."""
    first(document)["metrics"]["active_jobs"]["share_of"] = "jobs"
    order = [
        "active_jobs",
        *(m for m in first(document)["metrics"] if m != "active_jobs"),
        *first(document)["limits"],
    ]
    first(document)["dependence"] = {"kind": "forest", "order": order, "conditionals": {}}
    with pytest.raises(InputError, match="is drawn before jobs"):
        NoiseModel.from_bytes(json.dumps(document).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"], ids=["empty", "cut", "list", "binary"])
def test_something_else_is_not_a_model(content: bytes) -> None:
    """Neither an empty nor a cut file is read."""
    with pytest.raises(InputError):
        NoiseModel.from_bytes(content)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(InputError, match=r"nothing\.json: cannot read"):
        NoiseModel.load(tmp_path / "nothing.json")
