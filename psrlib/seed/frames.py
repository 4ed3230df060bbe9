"""Tables of a seed document for the notebooks: entities as rows, and shares drawn against the model's."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from psrlib.model import NoiseModel
from psrlib.model.table import SCALE
from psrlib.seed.document import Organization, SeedDocument

# detail of the model -> kind of entity, its value in the document, which part of the model's value that is
DETAILS: dict[str, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "pipeline_shape": ("pipelines", lambda p: p.stages, lambda row: row[0]),
    "commits": ("pipelines", lambda p: p.commits, lambda n: n),
    "pipeline_labels": ("pipelines", lambda p: len(p.labels), lambda n: n),
    "job_tags": ("jobs", lambda j: len(j.tags), lambda n: n),
    "schedule_cron": ("scheduled_tasks", lambda t: t.cron, lambda n: n),
    "subscription_event": ("subscriptions", lambda s: s.event, lambda n: n),
}
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


def owned_share(document: SeedDocument, kind: str = "jobs") -> pd.DataFrame:
    """Return how much the busiest users own, over all organizations.

    Returns
    -------
    DataFrame
        users, owned: cumulative shares (0 to 1) of users, busiest first, and of the entities they own;
        users who own nothing included.
    """
    owned = Counter((o.id, entity.owner) for o, entity in _entities(document, kind))
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
        One of `DETAILS`, such as ``commits``; of ``pipeline_shape`` the number of stages is shown.

    Returns
    -------
    DataFrame
        Index: the values in order. Columns drawn, model: shares (0 to 1). The model's shares are those of
        its archetypes, weighted by how many entities each archetype has in the document.
    """
    kind, value_of, part = DETAILS[detail]
    tables = {archetype.name: archetype.details[detail] for archetype in model.archetypes}
    drawn: Counter[Any] = Counter()
    expected: dict[Any, float] = defaultdict(float)
    entities: Counter[str] = Counter()
    for organization, entity in _entities(document, kind):
        drawn[value_of(entity)] += 1
        entities[organization.archetype] += 1
    total = max(1, sum(entities.values()))
    for archetype, n in entities.items():
        table = tables[archetype]
        shares = np.diff(table.thresholds.astype(float), prepend=0.0) / SCALE
        for value, share in zip(table.values, shares, strict=True):
            expected[part(value)] += float(share) * n / total
    values = sorted(set(drawn) | {value for value, share in expected.items() if share})
    columns = {
        "drawn": [drawn[value] / total for value in values],
        "model": [expected[value] for value in values],
    }
    return pd.DataFrame(columns, index=pd.Index(values, name=detail))


def _entities(document: SeedDocument, kind: str) -> Iterator[tuple[Organization, Any]]:
    for organization in document.organizations:
        for entity in getattr(organization, kind):
            if kind != "jobs" or not entity.is_template:
                yield organization, entity
