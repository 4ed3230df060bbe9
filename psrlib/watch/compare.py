"""Had two PSRs the same background? Aspect by aspect, with the tolerances stated here.

Levels such as the share of green jobs are counts, exact at every look, and they jump. A jump needs no
statistics: a level is different, too, when it was beyond the range of the other recording, and the tolerance,
for more than `EXCESS_SHARE` of the time. How the rest is judged: `psrlib.watch.statistics`.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from psrlib.arrays import FloatArray
from psrlib.watch import statistics
from psrlib.watch.background import Background
from psrlib.watch.recording import CALLS
from psrlib.watch.statistics import CONFIDENCE, OUTCOMES, UNKNOWN, Effect, Outcome, contrast

SHARE_TOLERANCE = 1.0  # percent of jobs, of engines, of calls
PIPELINES_TOLERANCE = 2.0  # percent of the pipelines running
OUTAGE_TOLERANCE_S = 15.0  # about what a call every 10 s can tell
ANSWER_TOLERANCE = 1.25  # ratio of usual answer times
SLOW_TOLERANCE = 1.5  # ratio of how far slow answers (90 %) are above usual ones
DRIFT_TOLERANCE = 1.4  # ratio of how answer times changed from the first half to the second
LENGTH_TOLERANCE = 1.5  # ratio of the times watched
EXCESS_SHARE = 0.02  # of the time
ROUNDS_NEEDED = 3.0  # looks at each organization, below which a level could have changed unseen
ANSWERS_PER_BATCH = 5
ANSWERS_PER_SLOW_BATCH = 20  # of which two are the slow ones


@dataclass(frozen=True)
class Aspect:
    """One aspect of two backgrounds: their values, the difference, what it means.

    ``a`` and ``b`` are in the unit ``measured_in``; difference and tolerance in ``unit``, which is ``ratio``
    for ratios (1 for no difference). What is not known is NaN.
    """

    name: str
    a: float
    b: float
    measured_in: str
    unit: str
    effect: Effect
    tolerance: float
    outcome: Outcome
    finding: str

    @property
    def is_ratio(self) -> bool:
        """Whether the difference is a ratio."""
        return self.unit == "ratio"

    @property
    def named_from(self) -> float:
        """The smallest difference that would have been called one."""
        _, low, high = self.effect
        if self.is_ratio:
            return self.tolerance * float(np.sqrt(high / low))
        return self.tolerance + (high - low) / 2

    def in_tolerances(self) -> Effect:
        """Return the difference as a multiple of the tolerance, for a common axis."""
        if self.is_ratio:
            return Effect(*(float(np.log(end) / np.log(self.tolerance)) for end in self.effect))
        return Effect(*(end / self.tolerance for end in self.effect))


@dataclass(frozen=True)
class Comparison:
    """Two backgrounds and what came of every aspect."""

    a: Background
    b: Background
    aspects: tuple[Aspect, ...]

    @property
    def outcome(self) -> Outcome:
        """Different if any aspect is, the same if all are."""
        return min((aspect.outcome for aspect in self.aspects), key=OUTCOMES.index)

    def by_outcome(self) -> list[Aspect]:
        """Return the aspects, those that differ first, then those that could not tell."""
        return sorted(self.aspects, key=lambda aspect: OUTCOMES.index(aspect.outcome))

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        found = [aspect for aspect in self.aspects if aspect.outcome == self.outcome]
        if self.outcome == "same":
            return f"Same background: all {len(found)} aspects agree within their tolerances."
        reasons = "; ".join(f"{aspect.name}: {aspect.finding}" for aspect in found[:4])
        more = f"; and {len(found) - 4} more" if len(found) > 4 else ""
        word = "Different background" if self.outcome == "different" else "Could not tell"
        return f"{word}: {reasons}{more}."

    def summary(self) -> dict[str, Any]:
        """Return everything but the series, as plain values; what is not known is None."""
        return {
            "outcome": self.outcome,
            "verdict": self.verdict,
            "confidence": CONFIDENCE,
            "aspects": [_record(aspect) for aspect in self.aspects],
            "recordings": {"a": self.a.facts(), "b": self.b.facts()},
        }


def _record(aspect: Aspect) -> dict[str, Any]:
    found = {**asdict(aspect), **dict(zip(("difference", "low", "high"), aspect.effect, strict=True))}
    found["named_from"] = aspect.named_from
    del found["effect"]
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in found.items()
    }


def compare(a: Background, b: Background) -> Comparison:
    """Compare two backgrounds, aspect by aspect."""
    return Comparison(a, b, tuple(_aspects(a, b)))


def _aspects(a: Background, b: Background) -> Iterator[Aspect]:
    yield _organizations(a, b)
    yield _length(a, b)
    yield _outages(a, b)
    yield _refusals(a, b)
    yield _restarts(a, b)
    yield _count(a, b, "jobs", (a.n_jobs, b.n_jobs), SHARE_TOLERANCE)
    for status in sorted({*a.statuses, *b.statuses}):
        shares = 100 * a.level(status) / a.n_jobs, 100 * b.level(status) / b.n_jobs
        yield _level(a, b, f"jobs {status}", "% of jobs", shares, SHARE_TOLERANCE)
    yield _count(a, b, "engines", (a.level("engines"), b.level("engines")), SHARE_TOLERANCE)
    yield _level(a, b, "engines responding", "% of engines", (a.responding, b.responding), SHARE_TOLERANCE)
    pipelines = a.level("pipelines"), b.level("pipelines")
    yield _count(a, b, "pipelines running", pipelines, PIPELINES_TOLERANCE)
    answers = _centred(a, b)
    for call in CALLS:
        yield _answer_time(call, *(found[found["call"] == call] for found in answers))
    x_a, x_b = (found["x"].to_numpy() for found in answers)
    yield _slow_answers(x_a, x_b)
    yield _drift(x_a, x_b)


def _organizations(a: Background, b: Background) -> Aspect:
    mine, theirs = set(a.start.organizations), set(b.start.organizations)
    n = len(mine ^ theirs)
    finding = f"{n} are in one of the recordings only"
    outcome: Outcome = "different" if n else "same"
    effect = Effect(n, n, n)
    name = "organizations watched"
    return Aspect(name, len(mine), len(theirs), "", "organizations", effect, 0.5, outcome, finding)


def _length(a: Background, b: Background) -> Aspect:
    ratio = b.watched_s / a.watched_s if a.watched_s and b.watched_s else np.nan
    outcome: Outcome = "same" if 1 / LENGTH_TOLERANCE <= ratio <= LENGTH_TOLERANCE else "could not tell"
    minutes = a.watched_s / 60, b.watched_s / 60
    finding = f"{minutes[0]:.1f} and {minutes[1]:.1f} minutes"
    effect = Effect(ratio, ratio, ratio)
    return Aspect("time watched", *minutes, "min", "ratio", effect, LENGTH_TOLERANCE, outcome, finding)


def _outages(a: Background, b: Background) -> Aspect:
    """Compare seconds without answers; each outage is known to the time between two calls."""
    middle = b.outage_s - a.outage_s
    half = a.spacing_s * len(a.outages) + b.spacing_s * len(b.outages)
    effect = Effect(middle, middle - half, middle + half)
    outcome = effect.judge(OUTAGE_TOLERANCE_S)
    told = [
        f"{len(one.outages)} in {side}, {one.outage_s:.0f} s in all" for side, one in (("A", a), ("B", b))
    ]
    finding = "; ".join(told)
    spacing = max(a.spacing_s, b.spacing_s)
    if outcome == "same" and spacing > OUTAGE_TOLERANCE_S:
        outcome, finding = "could not tell", f"with a call every {spacing:.0f} s an outage can pass unseen"
    seconds = a.outage_s, b.outage_s
    return Aspect("outages of the hub", *seconds, "s", "s", effect, OUTAGE_TOLERANCE_S, outcome, finding)


def _exact(name: str, unit: str, a: float, b: float, finding: str) -> Aspect:
    """Compare two shares that were counted, in percent."""
    effect = Effect(b - a, b - a, b - a)
    return Aspect(name, a, b, "%", unit, effect, SHARE_TOLERANCE, effect.judge(SHARE_TOLERANCE), finding)


def _refusals(a: Background, b: Background) -> Aspect:
    shares = [100 * len(one.refused) / max(one.n_samples, 1) for one in (a, b)]
    first = next(iter(a.refused or b.refused), "none")
    return _exact("calls refused", "% of calls", shares[0], shares[1], first)


def _restarts(a: Background, b: Background) -> Aspect:
    shares = [100 * len(one.restarts) / max(float(one.level("engines").max()), 1.0) for one in (a, b)]
    finding = f"{len(a.restarts)} in A, {len(b.restarts)} in B"
    found = _exact("engine restarts", "% of engines", shares[0], shares[1], finding)
    if not (a.tells_starts and b.tells_starts):
        return _undecided(found, "the hub does not tell when engines were started")
    return _if_looked_at(a, b, found)


def _undecided(aspect: Aspect, finding: str) -> Aspect:
    return replace(aspect, outcome="could not tell", finding=finding)


def _if_looked_at(a: Background, b: Background, aspect: Aspect) -> Aspect:
    """Call undecided what seems the same where organizations were looked at too seldom to say so."""
    rounds = min(a.n_rounds, b.n_rounds)
    if aspect.outcome == "same" and rounds < ROUNDS_NEEDED:
        found = f"organizations were looked at {rounds:.1f} times, {ROUNDS_NEEDED:.0f} wanted"
        return _undecided(aspect, found)
    return aspect


Levels = tuple["pd.Series[float]", "pd.Series[float]"]


def _count(a: Background, b: Background, name: str, levels: Levels, tolerance: float) -> Aspect:
    """Compare a count over time, in percent of what it usually was in A."""
    usual = float(levels[0].median()) or 1.0
    found = _level(a, b, name, "% of A's", (100 * levels[0] / usual, 100 * levels[1] / usual), tolerance)
    return replace(found, a=found.a * usual / 100, b=found.b * usual / 100, measured_in="")


def _level(a: Background, b: Background, name: str, unit: str, levels: Levels, tolerance: float) -> Aspect:
    """Compare a level over time."""
    x_a, x_b = (np.asarray(level.dropna(), dtype=np.float64) for level in levels)
    if not len(x_a) or not len(x_b):
        finding = "not every organization was looked at"
        return Aspect(name, np.nan, np.nan, "%", unit, UNKNOWN, tolerance, "could not tell", finding)
    means = float(x_a.mean()), float(x_b.mean())
    effect = contrast((-1, statistics.batch_means(x_a)), (1, statistics.batch_means(x_b)))
    finding = f"{means[0]:.1f} and {means[1]:.1f} {unit}"
    found = Aspect(name, *means, "%", unit, effect, tolerance, effect.judge(tolerance), finding)
    for side, x, other in (("A", x_a, x_b), ("B", x_b, x_a)):
        share, furthest = statistics.excess(x, other, tolerance)
        if share > EXCESS_SHARE:
            finding = f"{side} was up to {furthest:+.1f} {unit} beyond the other, {share:.0%} of the time"
            far = furthest if side == "B" else -furthest
            return replace(found, outcome="different", effect=Effect(far, far, far), finding=finding)
    return _if_looked_at(a, b, found)


def _centred(a: Background, b: Background) -> list[pd.DataFrame]:
    """Return the answers of both with ``x``: logarithm of the answer time over what is usual for that call.

    Usual is midway between the medians of both recordings, for each call and organization: one with more jobs
    takes longer to count them.
    """
    keys = ["call", "organization"]
    logs = [one.answers.assign(log=np.log(one.answers["answer_s"])) for one in (a, b)]
    medians = [found.groupby(keys)["log"].median() for found in logs]
    usual = ((medians[0] + medians[1]) / 2).dropna().rename("usual")
    joined = [found.join(usual, on=keys, how="inner") for found in logs]
    return [found.assign(x=found["log"] - found["usual"]) for found in joined]


def _answer_time(call: str, a: pd.DataFrame, b: pd.DataFrame) -> Aspect:
    first, second = (statistics.usual(found["x"].to_numpy(), ANSWERS_PER_BATCH) for found in (a, b))
    medians_ms = [1000 * float(found["answer_s"].median()) for found in (a, b)]
    effect = contrast((-1, first), (1, second))
    return _ratio(f"answer time: {call}", medians_ms, "ms", effect, ANSWER_TOLERANCE)


def _slow_answers(a: FloatArray, b: FloatArray) -> Aspect:
    first, second = (statistics.slow(x, ANSWERS_PER_SLOW_BATCH) for x in (a, b))
    values = [float(np.exp(x.mean())) if len(x) else np.nan for x in (first, second)]
    effect = contrast((-1, first), (1, second))
    return _ratio("slow answers over usual ones", values, "times", effect, SLOW_TOLERANCE)


def _drift(a: FloatArray, b: FloatArray) -> Aspect:
    """Compare how answer times change from the first half of a recording to the second."""
    halves = [np.array_split(statistics.usual(x, ANSWERS_PER_BATCH), 2) for x in (a, b)]
    values = [float(np.exp(last.mean() - first.mean())) if len(last) else np.nan for first, last in halves]
    (first_a, last_a), (first_b, last_b) = halves
    effect = contrast((1, first_a), (-1, last_a), (-1, first_b), (1, last_b))
    return _ratio("drift of answer times", values, "times", effect, DRIFT_TOLERANCE)


def _ratio(name: str, values: list[float], measured_in: str, effect: Effect, tolerance: float) -> Aspect:
    ratio = effect.exp()
    finding = f"{ratio.middle:.2f} times, between {ratio.low:.2f} and {ratio.high:.2f}"
    if not np.isfinite(ratio.middle):
        finding = "too few answers"
    outcome = effect.judge(float(np.log(tolerance)))
    return Aspect(name, values[0], values[1], measured_in, "ratio", ratio, tolerance, outcome, finding)
