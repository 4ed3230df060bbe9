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
_FEWEST = 6  # organizations that every kept value stands for
_MAX_RANKS = 400
_SHARED = 1000  # weight of a pipeline, to be shared by public shapes without rounding it away
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
        "commits": ("pipelines", "commits", lambda t: _counts(t["org"], t["commits"].clip(lower=1))),
        "pipeline_labels": ("pipelines", "labels", lambda t: _counts(t["org"], t["labels"])),
        "owner_rank": ("pipelines", "owner", _owner_ranks),
        "pipeline_shape": ("pipelines", "stages", lambda t: _shapes(t, shapes)),
        "job_tags": ("jobs", "tags", lambda t: _counts(t["org"], t["tags"])),
        "job_instances": ("jobs", "instances", lambda t: _counts(t["org"], t["instances"])),
        "schedule_cron": ("scheduled_tasks", "period_s", lambda t: _crons(t["org"], t["period_s"])),
        "schedule_action": ("scheduled_tasks", "action", lambda t: _texts(t["org"], t["action"], ACTIONS)),
        "subscription_event": ("subscriptions", "event", lambda t: _texts(t["org"], t["event"], EVENTS)),
    }
    for name, (table, column, fit) in fits.items():
        frame = stats.details.get(table)
        if frame is not None and column in frame and len(frame) >= _ENOUGH and (found := fit(frame)).values:
            details[name] = found
            source[name] = "stats set"
    return details, source


def merge_rare(organizations: "pd.Series[str]", values: "pd.Series[int]") -> "pd.Series[int]":
    """Return the values, those that fewer than six organizations have merged with their neighbours.

    What is merged becomes the mean of what it stands for (rounded), so that nothing is lost: neither
    entities, nor the mean, nor a long tail but for its outermost six organizations.

    Examples
    --------
    >>> organizations = pd.Series([*"abcdef", *"abcdef"])
    >>> merge_rare(organizations, pd.Series([1] * 6 + [7, 8, 9, 10, 11, 12])).tolist()
    [1, 1, 1, 1, 1, 1, 9, 9, 9, 10, 10, 10]
    """
    groups: list[list[int]] = []
    seen: set[str] = set()
    for value, members in organizations.groupby(values.to_numpy()).unique().items():
        if not groups or len(seen) >= _FEWEST:
            groups.append([])
            seen = set()
        groups[-1].append(int(value))  # type: ignore[call-overload]
        seen |= set(members)
    if len(seen) < _FEWEST and len(groups) > 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    merged = values.to_numpy(dtype=np.int64).copy()
    for group in groups:
        rows = np.flatnonzero(values.isin(group))
        # rounded down and up in the share that keeps the mean
        total = int(merged[rows].sum())
        merged[rows] = total // len(rows) + (np.arange(len(rows)) >= len(rows) - total % len(rows))
    return pd.Series(merged, index=values.index)


def _counts(organizations: "pd.Series[str]", values: "pd.Series[int]") -> DetailSpec:
    shares = merge_rare(organizations, values).value_counts().sort_index()
    return DetailSpec([int(value) for value in shares.index], shares.tolist())


def _texts(organizations: "pd.Series[str]", values: "pd.Series[str]", known: tuple[str, ...]) -> DetailSpec:
    spread = organizations.groupby(values.to_numpy()).nunique()
    shares = values.value_counts()
    table = {text: int(shares[text]) for text in known if spread.get(text, 0) >= _FEWEST}
    return DetailSpec(list(table), list(table.values()))


def _crons(organizations: "pd.Series[str]", periods: "pd.Series[int]") -> DetailSpec:
    limits, crons = zip(*_CRONS, strict=True)
    return _texts(organizations, pd.Series(np.array(crons)[np.searchsorted(limits, periods)]), crons)


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

    Parameters are merged among the pipelines of one length. Branches and event lanes are those of the public
    pipelines with the nearest number of stages, which share the pipelines of the stats set.
    """
    organizations = pipelines["org"]
    stages = merge_rare(organizations, pipelines["stages"].clip(lower=2))
    parameters = pipelines["parameters"] if "parameters" in pipelines else stages * 0
    known = np.array([row[0] for row in public.values])
    table: dict[tuple[int, int, int, int], int] = {}
    for n_stages in np.unique(stages).tolist():
        rows = stages.index[stages == n_stages]
        near = np.flatnonzero(np.abs(known - n_stages) == np.abs(known - n_stages).min()).tolist()
        total = sum(public.weights[index] for index in near)
        shares = merge_rare(organizations.loc[rows], parameters.loc[rows]).value_counts().sort_index()
        for n_parameters, n in zip(shares.index.tolist(), shares.tolist(), strict=True):
            for index in near:
                _, branches, event_lane, _ = public.values[index]
                event_lane = min(event_lane, max(n_stages - 2, 0))
                branches = min(branches, n_stages - 1 - event_lane)
                row = (n_stages, branches, event_lane, n_parameters)
                table[row] = table.get(row, 0) + round(_SHARED * n * public.weights[index] / total)
    rows = sorted(table)
    return DetailSpec([list(row) for row in rows], [table[row] for row in rows])
