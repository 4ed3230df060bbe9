"""Details of a model that nothing was measured for: documented defaults, written into the model file.

Pipelines follow the shapes of 323 real public pipelines (``data/stats/public_pipelines.csv``); other tables
come from published figures, named beside each, or are choices and say so.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

# Versions per public pipeline (n = 100): quantiles 0, 5, 10, 25, 50, 75, 90, 95, 99, 100 % are
# 1 1 1 2 3 5 7 10 14 16
COMMIT_WEIGHTS = {1: 20, 2: 16, 3: 19, 4: 11, 5: 12, 6: 8, 7: 5, 8: 2, 9: 2, 10: 1, 12: 2, 14: 1, 16: 1}
# Schedule mix of a dbt platform (Paradime 2024), percent of runs: daily 50, several a day 22, monthly 11,
# weekly 7, several a week 6, hourly 2, near-real-time 2;
# peaks at midnight and on the full hour (iron.io, Celonis).
CRON_WEIGHTS = {
    "0 0 0 * * ? *": 24,
    "0 0 2 * * ? *": 10,
    "0 30 5 * * ? *": 8,
    "0 0 6 * * ? *": 8,
    "0 0 0/6 * * ? *": 10,
    "0 0 0/12 * * ? *": 12,
    "0 0 0 1 * ? *": 11,
    "0 0 1 ? * MON *": 7,
    "0 0 3 ? * MON,WED,FRI *": 6,
    "0 0 * * * ? *": 2,
    "0 0/5 * * * ? *": 2,
}
# Events whose wire ids are known or likely (control-hub-rest, 7.2); the mix is a choice: status changes lead.
EVENT_WEIGHTS = {"JOB_STATUS_CHANGE": 60, "PIPELINE_STATUS_CHANGE": 25, "PIPELINE_COMMITTED": 15}
# Role ids of control-hub-rest, 3.3 and 3.4; the mix of developers, operators and readers is a choice.
ROLE_WEIGHTS = (
    (
        [
            "user",
            "org-user",
            "timeseries:reader",
            "datacollector:manager",
            "datacollector:creator",
            "jobrunner:operator",
            "pipelinestore:pipelineEditor",
            "topology:editor",
            "sla:editor",
            "provisioning:operator",
            "notification:user",
        ],
        55,
    ),
    (["user", "org-user", "pipelinestore:pipelineEditor", "timeseries:reader", "topology:user"], 20),
    (
        [
            "user",
            "org-user",
            "pipelinestore:user",
            "jobrunner:operator",
            "timeseries:reader",
            "notification:user",
        ],
        15,
    ),
    (["user", "org-user", "pipelinestore:user", "timeseries:reader"], 10),
)
OWNER_RANKS = 400  # more users than this share the work of an organization rarely
OWNER_EXPONENT = 1.1  # weight of rank r is r ** -1.1: Pareto index of jobs per user in Kelvin2, 1.07 to 1.10


def default_details(public_pipelines: Path) -> dict[str, Any]:
    """Return the default detail tables as they stand in a model file.

    Parameters
    ----------
    public_pipelines : Path
        The shapes of public pipelines, ``data/stats/public_pipelines.csv``.
    """
    return {
        "pipeline_shape": pipeline_shapes(public_pipelines),
        "commits": _table(COMMIT_WEIGHTS),
        "pipeline_labels": _table({0: 55, 1: 25, 2: 14, 3: 6}),  # number of labels; a choice
        "job_tags": _table({0: 60, 1: 25, 2: 10, 3: 5}),  # number of tags; a choice
        "job_instances": _table(
            {1: 92, 2: 6, 3: 2}
        ),  # ascending, so a limit keeps them at most n_engines; a choice
        "owner_rank": _table(
            {rank: round(1e6 / (rank + 1) ** OWNER_EXPONENT) for rank in range(OWNER_RANKS)},
        ),
        "schedule_cron": _table(CRON_WEIGHTS),
        "schedule_action": _table({"START": 80, "STOP": 15, "UPGRADE": 5}),  # a choice
        "subscription_event": _table(EVENT_WEIGHTS),
        "subscription_action": _table({"WEBHOOK": 100}),  # acts on the fleet's own sink, so nothing fails
        "user_roles": {
            "values": [roles for roles, _ in ROLE_WEIGHTS],
            "weights": [w for _, w in ROLE_WEIGHTS],
        },
    }


def pipeline_shapes(public_pipelines: Path) -> dict[str, Any]:
    """Return how often each (stages, branches, event_lane, parameters) occurs among the public pipelines.

    ``branches`` is the number of destinations, at least 1 and at most what the stages allow: one stage is the
    origin and one more consumes the event lane, if there is one.
    """
    frame = pd.read_csv(public_pipelines)
    event_lane = ((frame["event_lanes"] > 0) & (frame["stages"] >= 3)).astype(int)
    room = frame["stages"] - 1 - event_lane
    branches = frame["destinations"].clip(lower=1).combine(room, min)
    rows = zip(frame["stages"], branches, event_lane, frame["parameters"], strict=True)
    counts = Counter(tuple(int(value) for value in row) for row in rows)
    values = sorted(counts)
    return {"values": [list(value) for value in values], "weights": [counts[value] for value in values]}


def _table(weights: dict[Any, int]) -> dict[str, Any]:
    return {"values": list(weights), "weights": list(weights.values())}
