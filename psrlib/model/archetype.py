"""One archetype: a weighted kind of organization, and how its metrics are drawn."""

from dataclasses import dataclass

import numpy as np

from psrlib.arrays import IntArray, WordArray
from psrlib.model import dependence
from psrlib.model.additive import Additive
from psrlib.model.dependence import WORDS_PER_METRIC, Conditional, Gaussian, Window
from psrlib.model.marginal import Marginal
from psrlib.model.metrics import AT_LEAST, INACTIVE, NEEDED_BY, NEEDS
from psrlib.model.strangers import largest_of
from psrlib.model.table import SCALE, QuantileTable
from psrlib.scale import Scale
from psrlib.words import CONFIG, COUNTED, LIMIT_OF, NOT_SET


@dataclass(frozen=True)
class Metric:
    """One metric of an archetype: its marginal, and the scale that the marginal is on."""

    marginal: Marginal
    scale: Scale


@dataclass(frozen=True)
class Archetype:
    """A kind of organization with everything that drawing needs.

    Attributes
    ----------
    metrics : dict of str to Metric
        Counts and configuration, in the order of drawing.
    gaussian : Gaussian or None
        Correlated normal scores of some of the metrics.
    forests : dict of str to Conditional
        Metrics that follow a forest; the others are independent.
    """

    name: str
    weight: float
    metrics: dict[str, Metric]
    gaussian: Gaussian | None
    forests: dict[str, Conditional | Additive]
    details: dict[str, QuantileTable]

    def draw(self, words: WordArray, place: dict[str, int]) -> dict[str, IntArray]:
        """Draw the metrics of some organizations, shape (n_organizations,) each.

        ``words`` has shape (n_organizations, n_words); ``place`` is the column of each metric's first word.
        """
        known: dict[str, IntArray] = {}
        scores: dict[str, IntArray] = {}
        if self.gaussian is not None:
            scores = self.gaussian.scores(words[:, [place[name] for name in self.gaussian.metrics]])
        for name, metric in self.metrics.items():
            own = words[:, place[name] : place[name] + WORDS_PER_METRIC]
            low, high = bounds(name, known, len(words))
            window = self._window(metric, known, low, high)
            if name in scores:
                ranks = dependence.gaussian_ranks(scores[name], window)
            elif name in self.forests:
                ranks = self.forests[name].ranks(known, own, window)
            else:
                ranks = dependence.independent_ranks(own, window)
            drawn = metric.marginal.value(ranks)
            values = np.clip(metric.scale.count(drawn, known), low, high)
            known[name] = values
            if metric.scale.base:
                known[metric.scale.feature(name)] = drawn
            if name == INACTIVE:
                known["jobs"] = known["active_jobs"] + values
        return known

    def _window(self, metric: Metric, known: dict[str, IntArray], low: IntArray, high: IntArray) -> Window:
        """Return the ranks whose values keep the rules; one rank at the nearest end where there are none."""
        low_value, high_value = metric.scale.window(low, high, known)
        first = np.minimum(metric.marginal.first_rank(low_value), np.uint64(SCALE - 1))
        end = metric.marginal.first_rank(high_value + 1)
        return Window(first, np.maximum(end, first + np.uint64(1)))


def bounds(name: str, known: dict[str, IntArray], n: int) -> tuple[IntArray, IntArray]:
    """Return the smallest and largest value each organization may have for a metric, shape (n,) each.

    The rules of design.md, section 4: active jobs are at most the jobs, jobs need a pipeline, tasks and
    subscriptions need a job, what counts against a limit drawn before stays within it together
    (`psrlib.words.COUNTED`).
    """
    floor = NOT_SET if name in CONFIG else AT_LEAST.get(name, 0)
    low = np.full(n, floor, dtype=np.int64)
    high = np.full(n, largest_of(name), dtype=np.int64)
    part = (
        name in ("active_jobs", INACTIVE) and "jobs" not in known
    )  # of an archetype that has no jobs itself
    limit_name = LIMIT_OF.get("jobs" if part else name, "")
    if limit_name in known:
        limit = known[limit_name]
        beside = [*COUNTED[limit_name], *(("active_jobs", INACTIVE) if part else ())]
        taken = sum(known[other] for other in beside if other != name and other in known)
        high = np.where(limit == NOT_SET, high, limit - taken)
    if name == "active_jobs" and "jobs" in known:
        high = np.minimum(high, known["jobs"])
    needed = known.get(NEEDS.get(name, ""))
    if needed is not None:
        high = np.where(needed == 0, 0, high)
    user = known.get(NEEDED_BY.get(name, ""))
    if user is not None:
        low = np.where(user > 0, np.maximum(low, 1), low)
    return low, np.maximum(high, low)
