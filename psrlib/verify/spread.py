"""Are jobs without specific labels spread evenly over the engines that may run them?

A label that every engine of an organization has is not specific: who asks for it may run on any of them.
"""

import math

import numpy as np
import pandas as pd

from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.observed import ObservedOrganization, ObservedState

COLUMNS = ["organization", "engine", "pipelines", "expected"]
SIMULATIONS = 4_999
SMALL_EXPECTED = 5.0  # below it the chi-square distribution is no good approximation (Cochran 1954)


def pipelines_per_engine(document: SeedDocument, observed: ObservedState) -> pd.DataFrame:
    """Return the pipelines that jobs without specific labels run, per engine without specific labels.

    Returns
    -------
    DataFrame
        One row per such engine: organization, engine (seed key), pipelines (observed), expected
        (pipelines of the organization over its engines).
    """
    rows = []
    for desired in document.organizations:
        found = observed.organizations.get(desired.id)
        if found is not None:
            counts = _count(desired, found)
            expected = sum(counts.values()) / len(counts) if counts else 0.0
            rows += [(desired.id, key, n, expected) for key, n in counts.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _count(desired: Organization, found: ObservedOrganization) -> dict[str, int]:
    labels = [set(engine.labels) for engine in desired.engines]
    common = set.intersection(*labels) if labels else set()
    ids = {
        found.engines[engine.key].id: engine.key
        for engine in desired.engines
        if set(engine.labels) == common and engine.key in found.engines
    }
    counts = dict.fromkeys(ids.values(), 0)
    for job in desired.jobs:
        run = found.jobs.get(job.key)
        if run is None or job.is_template or not common.issuperset(job.labels) or run.status != "ACTIVE":
            continue
        for engine in run.engine_ids:
            if engine in ids:
                counts[ids[engine]] += 1
    return counts


def spread_tests(per_engine: pd.DataFrame) -> pd.DataFrame:
    """Test each organization's spread for uniformity by chi-square.

    Parameters
    ----------
    per_engine : DataFrame
        Of `pipelines_per_engine`.

    Returns
    -------
    DataFrame
        One row per organization with at least two engines and one pipeline: organization, engines, pipelines,
        chi_square, p_value; the last row, organization ``all``, sums statistics and degrees of freedom.

    Notes
    -----
    Pearson's statistic. Where fewer than five pipelines are expected on an engine its p-value comes from
    multinomial draws with a fixed random seed, (1 + draws at least as extreme) / (1 + draws), elsewhere from
    the chi-square distribution. A hub that balances by load spreads more evenly than chance: p-values near 1.
    """
    rows = []
    for organization, engines in per_engine.groupby("organization", sort=False):
        counts = engines["pipelines"].to_numpy(dtype=np.int64)
        if len(counts) >= 2 and counts.sum() > 0:
            statistic = float(_statistic(counts))
            rows.append(
                (organization, len(counts), int(counts.sum()), statistic, _p_value(counts, statistic))
            )
    if rows:
        n_engines, pipelines = sum(row[1] for row in rows), sum(row[2] for row in rows)
        total = sum(row[3] for row in rows)
        rows.append(("all", n_engines, pipelines, total, chi_square_tail(total, n_engines - len(rows))))
    return pd.DataFrame(rows, columns=["organization", "engines", "pipelines", "chi_square", "p_value"])


def _statistic(counts: np.ndarray) -> np.ndarray:
    """Return Pearson's statistic of counts along the last axis against their mean."""
    expected = counts.mean(axis=-1, keepdims=True)
    statistic: np.ndarray = ((counts - expected) ** 2 / expected).sum(axis=-1)
    return statistic


def _p_value(counts: np.ndarray, statistic: float) -> float:
    n_engines, total = len(counts), int(counts.sum())
    if total / n_engines >= SMALL_EXPECTED:
        return chi_square_tail(statistic, n_engines - 1)
    draws = np.random.default_rng(total).multinomial(total, [1 / n_engines] * n_engines, size=SIMULATIONS)
    return float((1 + (_statistic(draws) >= statistic - 1e-9).sum()) / (1 + SIMULATIONS))


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Return the probability that chi-square of so many degrees of freedom exceeds a statistic.

    Notes
    -----
    The finite sums of Abramowitz and Stegun (1964), 26.4.4 and 26.4.5: scipy has the same, but takes half a
    second to load and a third of a container image.
    """
    half = statistic / 2
    if half <= 0:
        return 1.0
    powers = (i + freedom % 2 / 2 for i in range(freedom // 2))
    tail = math.erfc(half**0.5) if freedom % 2 else 0.0
    return tail + sum(math.exp(power * math.log(half) - half - math.lgamma(power + 1)) for power in powers)
