"""The most private form of a stats set: counts of organizations, and how metrics depend on each other.

``summary.json`` holds no row of any organization. Each metric has a histogram and, where it depends on
metrics before it, a decision tree; every number of organizations told is at least five, every leaf
has at least 20.
"""

from typing import Any

import numpy as np
import pandas as pd

from psrlib.errors import InputError
from psrlib.stats.check import lift_exceeded_limits
from psrlib.stats.conditionals import MIN_LEAF, Known, choose_conditional
from psrlib.stats.reading import StatsSet
from psrlib.words import CONFIG

SUMMARY_FORMAT = "psr-summary/2"
MIN_ORGANIZATIONS = MIN_LEAF
_TELLING = 3  # a third of all numbers is a multiple of 3 by chance; smaller ones tell less
_MULTIPLES = 0.95  # share of organizations from which one metric is taken as a whole multiple of another


def summarize(stats: StatsSet) -> dict[str, Any]:
    """Return the summary of a stats set; data/README.md says what it tells.

    Raises
    ------
    InputError
        If there are fewer than 20 organizations.
    """
    frame = stats.metrics()
    if len(frame) < MIN_ORGANIZATIONS:
        raise InputError(
            f"{len(frame)} organizations are too few for a summary; at least {MIN_ORGANIZATIONS} are needed"
        )
    frame = lift_exceeded_limits(frame)
    order = choose_order(frame)
    known = Known()
    marginals: dict[str, Any] = {}
    conditionals: dict[str, Any] = {}
    for name in order:
        counts = frame[name].to_numpy(dtype=np.int64)
        told, conditional = choose_conditional(name, counts, known)
        marginals[name] = told.marginal()
        if conditional is not None:
            conditionals[name] = conditional
        known.add(name, counts, told)
    return {
        "format": SUMMARY_FORMAT,
        "organizations": len(frame),
        "metrics": order,
        "marginals": marginals,
        "conditionals": conditionals,
    }


def choose_order(frame: pd.DataFrame) -> list[str]:
    """Return limits, then jobs, then each time the metric that goes most closely with one before it.

    A metric that is a whole multiple of another one comes after it, for then it is a few exact shares of it.
    """
    strength = frame.rank().corr().fillna(0).abs().to_dict()
    rest = [str(name) for name in frame.columns if name not in CONFIG]
    counts: list[str] = []
    while rest:
        following = max(
            rest, key=lambda name: max([strength[name][other] for other in counts] or [name == "jobs"])
        )
        divisors = (
            name for name in rest if name != "active_jobs" and _is_multiple(frame[following], frame[name])
        )
        following = next(divisors, following)
        rest.remove(following)
        counts.append(following)
    for name, needed in (("job_templates", "pipelines"), ("active_jobs", "jobs")):
        if name in counts and needed in counts and counts.index(name) < counts.index(needed):
            counts.remove(name)
            counts.insert(counts.index(needed) + 1, name)
    return [name for name in CONFIG if name in frame] + counts


def _is_multiple(metric: "pd.Series[int]", other: "pd.Series[int]") -> bool:
    """Return whether a metric is a whole multiple of another one, often a larger one, beyond chance."""
    telling = (metric > 0) & (other >= _TELLING)
    some, base = metric[telling], other[telling]
    larger = int((some > base).sum())
    return larger >= MIN_ORGANIZATIONS and bool((some % base == 0).mean() >= _MULTIPLES)
