"""Archetypes found in the data: how many, who belongs to which, and what to call them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from psrlib.arrays import FloatArray, IntArray

MAX_ARCHETYPES = 5
MIN_ORGANIZATIONS = 20  # per archetype, fewer are too few to fit its dependence
STABLE = 0.6  # adjusted Rand index between fits on resampled halves; 1 is perfect, 0 is chance
_RESAMPLES = 4
SIZES = {
    2: ["small", "large"],
    3: ["small", "middle", "large"],
    4: ["smallest", "small", "large", "largest"],
    5: ["smallest", "small", "middle", "large", "largest"],
}
# from several ways to group the organizations (archetype of each) to the log likelihoods of held-out ones
Likelihoods = Callable[[list[IntArray]], list[float]]


@dataclass(frozen=True)
class Clustering:
    """Archetype of each organization, names, and how the number was chosen.

    Attributes
    ----------
    label : array of int, shape (n_organizations,)
    names : list of str
    choice : list of dict
        For each number tried: ``n_archetypes``, ``bic``, ``stability``, ``smallest``, ``verdict``, and
        ``held_out_log_likelihood`` where that number was tried (not once fewer are more likely).
    """

    label: IntArray
    names: list[str]
    choice: list[dict[str, Any]]


def find_archetypes(
    frame: pd.DataFrame, n_archetypes: int | None = None, likelihoods: Likelihoods | None = None
) -> Clustering:
    """Group organizations, given by their counts, by a Gaussian mixture on normal scores.

    The number of archetypes is the one with the largest likelihood of held-out organizations among those that
    are stable (mean adjusted Rand index of at least 0.6 between fits on random halves) and whose smallest
    archetype has at least 20 organizations; one archetype is always allowed. Without ``likelihoods`` the
    smallest Bayesian information criterion decides. A number given by the user is taken as it is.
    """
    scores = normal_scores(frame)
    rng = np.random.default_rng(0)
    tried: list[dict[str, Any]] = []
    labels: dict[int, IntArray] = {}
    numbers = [n_archetypes] if n_archetypes else range(1, MAX_ARCHETYPES + 1)
    for number in numbers:
        if scores.shape[1] == 0 or len(frame) < number * 2:
            labels[number] = np.zeros(len(frame), dtype=np.int64)
            tried.append({"n_archetypes": 1, "verdict": "chosen: nothing to tell organizations apart"})
            break
        mixture = _mixture(number, 0).fit(scores)
        labels[number] = mixture.predict(scores).astype(np.int64)
        smallest = int(np.bincount(labels[number], minlength=number).min())
        stability = 1.0 if number == 1 else round(_stability(scores, number, rng), 3)
        entry = {"n_archetypes": number, "bic": round(float(mixture.bic(scores)), 1)}
        entry |= {"smallest": smallest, "stability": stability}
        tried.append(entry | {"verdict": _verdict(entry, bool(n_archetypes))})
        if smallest < MIN_ORGANIZATIONS and number > 1 and not n_archetypes:
            break
    number = next(iter(labels))
    if allowed := [entry for entry in tried if entry["verdict"] == "possible"]:
        best, best_by = min(allowed, key=lambda entry: entry["bic"]), "smallest BIC"
        if likelihoods is not None and len(allowed) > 1:
            best = _most_likely(allowed, labels, likelihoods)
            best_by = "largest likelihood of held-out organizations"
        best["verdict"] = f"chosen: {best_by} among the stable ones"
        number = best["n_archetypes"]
    label = _by_size(frame, labels[number])
    return Clustering(label, _names(frame, label), tried)


def _most_likely(
    allowed: list[dict[str, Any]], labels: dict[int, IntArray], likelihoods: Likelihoods
) -> dict[str, Any]:
    """Return the entry with the largest likelihood of held-out organizations, trying two at a time.

    Larger numbers are not tried once the two before are no more likely than a smaller one.
    """
    best = allowed[0]
    for start in range(0, len(allowed), 2):
        pair = allowed[start : start + 2]
        for entry, value in zip(pair, likelihoods([labels[e["n_archetypes"]] for e in pair]), strict=True):
            entry["held_out_log_likelihood"] = round(value, 1)
        top = max([best, *pair], key=lambda entry: entry["held_out_log_likelihood"])
        if top is best and start + 2 < len(allowed):
            for entry in allowed[start + 2 :]:
                entry["verdict"] = "not tried: fewer archetypes are more likely than the numbers before it"
            break
        best = top
    return best


def normal_scores(frame: pd.DataFrame) -> FloatArray:
    """Return the normal score of each count among all organizations, constant columns left out."""
    varying = [name for name in frame if frame[name].nunique() > 1]
    ranks = (frame[varying].rank().to_numpy() - 0.5) / len(frame)
    return np.asarray(ndtri(ranks), dtype=float).reshape(len(frame), len(varying))


def _mixture(number: int, seed: int) -> GaussianMixture:
    return GaussianMixture(number, covariance_type="full", reg_covar=0.1, n_init=2, random_state=seed)


def _stability(scores: FloatArray, number: int, rng: np.random.Generator) -> float:
    """Return how well fits on two random halves agree about everybody."""
    agreement = []
    for repeat in range(_RESAMPLES):
        half = rng.permutation(len(scores)) % 2 == 0
        parts = [scores[half], scores[~half]]
        if min(len(part) for part in parts) <= number:
            return 0.0
        first, second = (_mixture(number, repeat).fit(part).predict(scores) for part in parts)
        agreement.append(adjusted_rand_score(first, second))
    return float(np.mean(agreement))


def _verdict(entry: dict[str, Any], given: bool) -> str:
    if given:
        return "chosen: given by the user"
    if entry["n_archetypes"] > 1 and entry["smallest"] < MIN_ORGANIZATIONS:
        return f"rejected: an archetype of fewer than {MIN_ORGANIZATIONS} organizations"
    if entry["stability"] < STABLE:
        return f"rejected: not stable under resampling (below {STABLE})"
    return "possible"


def _by_size(frame: pd.DataFrame, label: IntArray) -> IntArray:
    """Renumber archetypes from small to large organizations, leaving out empty ones."""
    size = frame.rank().mean(axis=1).groupby(label).mean().sort_values()
    place = {int(old): new for new, old in enumerate(size.index)}
    return np.array([place[int(old)] for old in label], dtype=np.int64)


def _names(frame: pd.DataFrame, label: IntArray) -> list[str]:
    """Name each archetype by its size and by what sets it apart most from all organizations."""
    ranks = frame.rank(pct=True)
    shift = (ranks.groupby(label).mean() - ranks.mean()).to_numpy(dtype=float)
    n = len(shift)
    if n == 1:
        return ["all"]
    sizes = SIZES.get(n, [f"size-{index + 1}" for index in range(n)])
    names = []
    for index in range(n):
        column = int(np.abs(shift[index]).argmax())
        strongest = str(frame.columns[column])
        direction = "many" if shift[index, column] > 0 else "few"
        names.append(f"{sizes[index]}, {direction} {strongest.replace('_', ' ')}")
    return names
