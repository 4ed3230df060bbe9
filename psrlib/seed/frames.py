"""Tables of a seed document for the notebooks: entities as rows, and shares drawn against the model's."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from psrlib.model import NoiseModel
from psrlib.seed.document import Organization, SeedDocument
from psrlib.seed.generate import create_seed

# detail -> kind of entity, and its value in the document
DETAILS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "stages": ("pipelines", lambda p: p.stages),
    "commits": ("pipelines", lambda p: p.commits),
    "pipeline_labels": ("pipelines", lambda p: len(p.labels)),
    "job_tags": ("jobs", lambda j: len(j.tags)),
    "schedule_cron": ("scheduled_tasks", lambda t: t.cron),
    "subscription_event": ("subscriptions", lambda s: s.event),
}
REFERENCE = 500  # organizations drawn anew to tell how often a model draws something
PIPELINE_COLUMNS = [
    *("organization", "archetype", "key", "owner", "stages", "branches", "event_lane", "commits"),
    *("labels", "parameters", "fragment"),
]


def pipelines_frame(document: SeedDocument) -> pd.DataFrame:
    """Return a row per pipeline with `PIPELINE_COLUMNS`; labels and parameters are their numbers."""
    rows = [
        {"organization": organization.id, "archetype": organization.archetype}
        | msgspec.structs.asdict(pipeline)
        | {
            "labels": len(pipeline.labels),
            "parameters": len(pipeline.parameters),
            "fragment": pipeline.fragment is not None,
        }
        for organization, pipeline in _entities(document, "pipelines")
    ]
    return pd.DataFrame(rows, columns=PIPELINE_COLUMNS)


def detail_tables(organizations: Iterable[Organization]) -> dict[str, pd.DataFrame]:
    """Return the detail tables of a stats set for organizations of a document, as far as records tell them.

    Owners, pipelines and jobs are keys; job templates and administrators are left out.
    """
    kinds = ("pipelines", "jobs", "scheduled_tasks", "subscriptions", "users")
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for one in organizations:
        rows["pipelines"] += [
            {
                "org": one.id,
                "stages": p.stages,
                "commits": p.commits,
                "labels": len(p.labels),
                "parameters": len(p.parameters),
                "definition_bytes": p.definition_bytes,
                "owner": p.owner,
            }
            for p in one.pipelines
        ]
        rows["jobs"] += [
            {
                "org": one.id,
                "pipeline": j.pipeline,
                "owner": j.owner,
                "instances": j.instances,
                "engine_labels": len(j.labels),
                "tags": len(j.tags),
            }
            for j in one.jobs
            if not j.is_template
        ]
        rows["scheduled_tasks"] += [
            {"org": one.id, "action": t.action, "job": t.job} for t in one.scheduled_tasks
        ]
        rows["subscriptions"] += [
            {"org": one.id, "event": s.event, "action": s.action, "enabled": int(s.enabled)}
            for s in one.subscriptions
        ]
        rows["users"] += [
            {"org": one.id, "roles": len(u.roles), "groups": len(u.groups)} for u in one.users[1:]
        ]
    return {name: pd.DataFrame(table) for name, table in rows.items() if table}


def owned_share(document: SeedDocument) -> pd.DataFrame:
    """Return how many of the jobs the busiest users own, over all organizations.

    Returns
    -------
    DataFrame
        users, owned: cumulative shares (0 to 1) of users, busiest first, and of the jobs they own;
        users who own nothing included.
    """
    owned = Counter((o.id, entity.owner) for o, entity in _entities(document, "jobs"))
    users = [(organization.id, user.key) for organization, user in _entities(document, "users")]
    counts = np.sort([owned.get(user, 0) for user in users])[::-1]
    shares = np.concatenate([[0], np.cumsum(counts)]) / max(1, counts.sum())
    return pd.DataFrame({"users": np.arange(len(counts) + 1) / max(1, len(counts)), "owned": shares})


def drawn_and_model(document: SeedDocument, model: NoiseModel, detail: str) -> pd.DataFrame:
    """Return how often each value of a detail was drawn, beside how often the model draws it.

    Parameters
    ----------
    document : SeedDocument
    model : NoiseModel
        The one that the document was drawn from.
    detail : str
        One of `DETAILS`, such as ``commits``.

    Returns
    -------
    DataFrame
        Index: the values in order. Columns drawn, model: shares (0 to 1). The model's shares are those among
        500 organizations drawn with another random seed, for what an organization looks like inside depends
        on its counts.
    """
    other = create_seed(model, document.provenance.random_seed ^ 1, REFERENCE)
    shares = {name: _shares(one, detail) for name, one in (("drawn", document), ("model", other))}
    return pd.DataFrame(shares).fillna(0.0).sort_index().rename_axis(detail)


def _shares(document: SeedDocument, detail: str) -> "pd.Series[float]":
    kind, value_of = DETAILS[detail]
    values = [value_of(entity) for _, entity in _entities(document, kind)]
    return pd.Series(values).value_counts(normalize=True)


def _entities(document: SeedDocument, kind: str) -> Iterator[tuple[Organization, Any]]:
    for organization in document.organizations:
        for entity in getattr(organization, kind):
            if kind != "jobs" or not entity.is_template:
                yield organization, entity
