"""Trees of metrics on the ones before them."""

from typing import Any

import numpy as np

from psrlib.scale import Scale
from psrlib.stats.conditionals import MIN_LEAF, Known, choose_conditional, tell


def known_metric(name: str, counts: np.ndarray) -> Known:
    known = Known()
    known.add(name, counts, tell(Scale(), counts, {}))
    return known


def leaves(node: dict[str, Any]) -> list[dict[str, Any]]:
    return leaves(node["yes"]) + leaves(node["no"]) if "at_most" in node else [node]


def test_every_leaf_holds_twenty_and_every_number_five(rng: np.random.Generator) -> None:
    """Users that follow jobs: leaves tell no less than five organizations, and count each once."""
    jobs = np.floor(np.exp(rng.normal(2.5, 1.2, 600))).astype(np.int64)
    users = 1 + rng.poisson(2 * np.sqrt(jobs))
    _, conditional = choose_conditional("users", users, known_metric("jobs", jobs))
    assert conditional is not None
    told = [leaf["organizations"] for leaf in leaves(conditional["tree"])]
    assert min(sum(numbers) for numbers in told) >= MIN_LEAF
    assert sum(sum(numbers) for numbers in told) == 600
    assert all(number == 0 or number >= 5 for numbers in told for number in numbers)


def test_what_does_not_depend_has_no_tree(rng: np.random.Generator) -> None:
    """A metric drawn by itself is told by its histogram alone."""
    jobs, users = rng.poisson(20, 500), 1 + rng.poisson(3, 500)
    assert choose_conditional("users", users, known_metric("jobs", jobs))[1] is None


def test_a_near_deterministic_relation_is_told_as_one(rng: np.random.Generator) -> None:
    """Pipelines are jobs and one or two more: what they have more is all that is told."""
    jobs = np.floor(np.exp(rng.normal(3.5, 1.5, 500))).astype(np.int64)
    told, _ = choose_conditional("pipelines", jobs + rng.integers(1, 3, 500), known_metric("jobs", jobs))
    assert told.scale == Scale("difference", "jobs")
    assert told.marginal()["more_than"] == "jobs"
