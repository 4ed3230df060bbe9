"""Detail models from the detail tables of a stats set; defaults where a table or column is absent."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from psrlib.arrays import IntArray
from psrlib.model.fit.defaults import default_details
from psrlib.model.specs import Details, DetailSpec
from psrlib.stats import StatsSet
from psrlib.words import ACTIONS, EVENTS

_ENOUGH = 50  # entities below which a table says too little and the default stays
_RARE = 5  # a value that fewer entities share is merged into its neighbour or left out
_MAX_RANKS = 400
# Quartz texts for periods of scheduled tasks, by the longest period they stand for (s)
_CRONS = (
    (900, "0 0/5 * * * ? *"),
    (7200, "0 0 * * * ? *"),
    (28800, "0 0 0/6 * * ? *"),
    (64800, "0 0 0/12 * * ? *"),
    (129600, "0 0 0 * * ? *"),
    (400000, "0 0 3 ? * MON,WED,FRI *"),
    (900000, "0 0 1 ? * MON *"),
    (10**12, "0 0 0 1 * ? *"),
)


def fit_details(stats: StatsSet) -> tuple[Details, dict[str, str]]:
    """Return the detail tables of a model file, and where each comes from.

    Branches and event lanes of pipelines, which no stats set holds, are those of the default's shapes.
    """
    details = default_details()
    source = dict.fromkeys(details, "default")
    shapes = details["pipeline_shape"]
    fits: dict[str, tuple[str, str, Callable[[pd.DataFrame], DetailSpec]]] = {
        "commits": ("pipelines", "commits", lambda t: _counts(t["commits"].clip(lower=1))),
        "pipeline_labels": ("pipelines", "labels", lambda t: _counts(t["labels"])),
        "owner_rank": ("pipelines", "owner", _owner_ranks),
        "pipeline_shape": ("pipelines", "stages", lambda t: _shapes(t, shapes)),
        "job_tags": ("jobs", "tags", lambda t: _counts(t["tags"])),
        "job_instances": ("jobs", "instances", lambda t: _counts(t["instances"])),
        "schedule_cron": ("scheduled_tasks", "period_s", lambda t: _crons(t["period_s"])),
        "schedule_action": ("scheduled_tasks", "action", lambda t: _texts(t["action"], ACTIONS)),
        "subscription_event": ("subscriptions", "event", lambda t: _texts(t["event"], EVENTS)),
    }
    for name, (table, column, fit) in fits.items():
        frame = stats.details.get(table)
        if frame is not None and column in frame and len(frame) >= _ENOUGH and (found := fit(frame)).values:
            details[name] = found
            source[name] = "stats set"
    return details, source


def _counts(values: "pd.Series[int]") -> DetailSpec:
    """Return a table of counts; values rarer than five entities join the next smaller one."""
    shares = values.value_counts().sort_index()
    table: dict[int, int] = {}
    for value, n in shares.items():
        kept = int(value) if n >= _RARE or not table else max(table)  # type: ignore[call-overload]
        table[kept] = table.get(kept, 0) + int(n)
    return DetailSpec(list(table), list(table.values()))


def _texts(values: "pd.Series[str]", known: tuple[str, ...]) -> DetailSpec:
    shares = values.value_counts()
    table = {text: int(shares[text]) for text in known if shares.get(text, 0) >= _RARE}
    return DetailSpec(list(table), list(table.values()))


def _crons(periods: "pd.Series[int]") -> DetailSpec:
    limits, crons = zip(*_CRONS, strict=True)
    return _texts(pd.Series(np.array(crons)[np.searchsorted(limits, periods)]), crons)


def _owner_ranks(pipelines: pd.DataFrame) -> DetailSpec:
    """Return how much work the most active owner of an organization has, the second, and so on."""
    per_owner = pipelines.groupby(["org", "owner"]).size()
    rank = per_owner.groupby(level=0).rank(method="first", ascending=False).astype(int) - 1
    mean = per_owner.groupby(rank.to_numpy()).sum().reindex(range(_MAX_RANKS)).fillna(0).to_numpy(dtype=float)
    smooth = np.minimum.accumulate(np.maximum(mean, 0.5))
    weights: IntArray = np.maximum(np.round(smooth * 1000 / smooth[0]), 1).astype(np.int64)
    return DetailSpec(list(range(_MAX_RANKS)), weights.tolist())


def _shapes(pipelines: pd.DataFrame, public: DetailSpec) -> DetailSpec:
    """Return (stages, branches, event_lane, parameters) with stages and parameters of the stats set.

    Branches and event lanes are those of the public pipelines with the nearest number of stages.
    """
    stages = pipelines["stages"].clip(2, 60)
    parameters = pipelines["parameters"] if "parameters" in pipelines else stages * 0
    shares = pd.DataFrame({"stages": stages, "parameters": parameters}).value_counts().sort_index()
    shares = shares[shares >= _RARE]
    known = np.array([row[0] for row in public.values])
    table: dict[tuple[int, int, int, int], int | float] = {}
    for (n_stages, n_parameters), n in zip(shares.index.to_list(), shares.to_list(), strict=True):
        near = np.flatnonzero(np.abs(known - n_stages) == np.abs(known - n_stages).min())
        for index in near.tolist():
            _, branches, event_lane, _ = public.values[index]
            event_lane = min(event_lane, max(n_stages - 2, 0))
            branches = min(branches, int(n_stages) - 1 - event_lane)
            row = (int(n_stages), branches, event_lane, int(n_parameters))
            table[row] = table.get(row, 0) + int(n) * public.weights[index]
    rows = sorted(table)
    return DetailSpec([list(row) for row in rows], [table[row] for row in rows])
