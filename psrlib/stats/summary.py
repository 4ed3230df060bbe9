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
    """Return limits, then jobs, then each time the metric that goes most closely with one before it."""
    strength = frame.rank().corr().fillna(0).abs().to_dict()
    rest = [str(name) for name in frame.columns if name not in CONFIG and name != "jobs"]
    counts = ["jobs"]
    while rest:
        following = max(rest, key=lambda name: max(strength[name][other] for other in counts))
        rest.remove(following)
        counts.append(following)
    if "job_templates" in counts and counts.index("job_templates") < counts.index("pipelines"):
        counts.remove("job_templates")  # a template needs a pipeline, so pipelines come first
        counts.insert(counts.index("pipelines") + 1, "job_templates")
    return [name for name in CONFIG if name in frame] + counts
