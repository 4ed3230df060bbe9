"""Do the organizations found look like the noise model's?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from psrlib.arrays import FloatArray
from psrlib.model import NoiseModel
from psrlib.seed import create_seed
from psrlib.seed.document import Organization
from psrlib.seed.frames import detail_tables
from psrlib.seed.streams import Streams
from psrlib.stats.inside import inside_features
from psrlib.stats.two_samples import ks_distance, ks_distances, two_sample_auc
from psrlib.verify.check import Check, judge
from psrlib.words import COUNTS

REFERENCE = 4_000  # organizations drawn from the model to compare with
SIGNIFICANCE = 0.001  # how often a hub as it should be fails either check, distances or classifier
BOOTSTRAP, BOOTSTRAP_FEWEST = 3_999, 999  # samples drawn to find the bands
DRAWS = 1_000_000  # organizations drawn for them at most, but for the fewest samples
METRIC_QUANTILE = 0.99
CLASSIFIER_BOOTSTRAP = 999
CLASSIFIED = 400  # organizations that the classifier sees of each kind at most
INSIDE_REFERENCE = 600  # organizations drawn with everything in them to compare with
INSIDE_CLASSIFIED = 200  # of each kind that the classifier of the inside sees at most
FOLDS = 5
FEWEST = 10  # organizations below which a classifier has nothing to learn from
RIDGE = 1.0
DISTANCES = ["metric", "observed_mean", "model_mean", "distance", "band", "ok"]
PURPOSE = "verification"  # a stream of its own, apart from those that made the document


def draw_reference(model: NoiseModel, random_seed: int, n: int = REFERENCE) -> pd.DataFrame:
    """Return organizations drawn from the model, in columns archetype and metrics (entities)."""
    streams = Streams(random_seed)
    words = streams.table(PURPOSE, range(n), model.n_words)
    frame = model.draw_evenly(words, 0, streams.words(f"even {PURPOSE}", 0, model.n_keys)).frame()
    return frame[["archetype", *(metric for metric in COUNTS if metric in frame)]]


def distance_table(observed: pd.DataFrame, reference: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the Kolmogorov-Smirnov distance of each metric, with its bootstrap band.

    Parameters
    ----------
    observed : DataFrame
        One row per organization found, a column per metric (entities).
    reference : DataFrame
        The same for organizations drawn from the model.

    Returns
    -------
    DataFrame
        metric, observed_mean, model_mean (entities), distance (0 to 1), band, ok. Metrics that are
        constant and equal on both sides are left out.

    Notes
    -----
    The bands are simultaneous: as many organizations as were observed are drawn from the model again and
    again, and 99.9 % of those samples stay within the bands of all metrics at once. Each band is the metric's
    own 99 % quantile times one common factor.
    """
    metrics = [metric for metric in reference.columns if metric != "archetype"]
    varying = [m for m in metrics if set(observed[m]) | set(reference[m]) != {reference[m].iloc[0]}]
    n = len(observed)
    samples = rng.integers(0, len(reference), size=(min(BOOTSTRAP, max(BOOTSTRAP_FEWEST, DRAWS // n)), n))
    rows, drawn = [], []
    for metric in varying:
        model, found = (part[metric].to_numpy(dtype=np.float64) for part in (reference, observed))
        rows.append((metric, found.mean(), model.mean(), ks_distance(found, model)))
        drawn.append(ks_distances(model[samples], model))
    table = pd.DataFrame(rows, columns=DISTANCES[:4])
    if not rows:
        return table.assign(band=0.0, ok=True)
    own = np.quantile(drawn, METRIC_QUANTILE, axis=1)
    factor = np.quantile((np.array(drawn) / own[:, None]).max(axis=0), 1 - SIGNIFICANCE)
    return table.assign(band=own * factor, ok=table["distance"] <= own * factor + 1e-12)


def distance_check(distances: pd.DataFrame) -> Check:
    """Check that every metric's distance is within its band."""
    findings = [
        f"{metric.replace('_', ' ')}: distance {distance:.3f} above {band:.3f} "
        f"(mean {found:.1f}, model {model:.1f})"
        for metric, found, model, distance, band, ok in distances.itertuples(index=False)
        if not ok
    ]
    answer = "no metric varies"
    if len(distances):
        ratio = (distances["distance"] / distances["band"].clip(lower=1e-9)).to_numpy()
        metric, _, _, distance, band, _ = distances.iloc[int(ratio.argmax())]
        nearest = f"{metric.replace('_', ' ')} {distance:.3f} of {band:.3f}"
        answer = f"all {len(distances)} within; nearest to its band: {nearest}"
    question = "Is each metric distributed as in the noise model (Kolmogorov-Smirnov, 99.9 % band)?"
    return judge("statistical", "metric_distances", question, len(distances), findings, answer)


def auc_check(observed: pd.DataFrame, reference: pd.DataFrame, rng: np.random.Generator) -> Check:
    """Check that a classifier cannot tell organizations found from organizations drawn.

    Notes
    -----
    Ridge discriminant on logarithms of the metrics and their products, cross-validated; area under the ROC
    curve of its scores. The band is the 99.9 % quantile of the same figure for organizations drawn from the
    model in place of those found (two-sample test by classification, Lopez-Paz and Oquab 2017).
    """
    question = "Can a classifier tell these organizations from the noise model's (AUC, 99.9 % band)?"
    metrics = [metric for metric in reference.columns if metric != "archetype"]
    n = min(len(observed), CLASSIFIED)
    if n < FEWEST:
        answer = f"too few organizations ({n}) to tell anything; {FEWEST} are needed"
        return judge("statistical", "classifier", question, n, [], answer)
    pool = _features(reference[metrics])
    found = _features(observed[metrics])[rng.permutation(len(observed))[:n]]
    auc = ridge_auc(found, pool[rng.permutation(len(pool))[:n]], rng)
    null = []
    for _ in range(CLASSIFIER_BOOTSTRAP):
        one, other = pool[rng.integers(0, len(pool), size=(2, n))]
        null.append(ridge_auc(one, other, rng))
    band = float(np.quantile(null, 1 - SIGNIFICANCE, method="higher"))
    text = f"AUC {auc:.2f}, band {band:.2f}, 0.5 is indistinguishable"
    return judge("statistical", "classifier", question, n, [text] if auc > band else [], text)


def inside_frame(organizations: Sequence[Organization]) -> pd.DataFrame:
    """Return features of each organization's inside (`psrlib.stats.inside`); -1 where there is no entity."""
    keys = pd.DataFrame({"org": [organization.id for organization in organizations]})
    return inside_features(keys, detail_tables(organizations)).fillna(-1.0)


def inside_check(
    observed: Sequence[Organization], model: NoiseModel, random_seed: int, rng: np.random.Generator
) -> Check:
    """Check that a classifier cannot tell the inside of the organizations found from the model's.

    Notes
    -----
    As `auc_check`, on features of the details: mean, spread and largest of each number, shares of owners,
    events and so on. The model's are those of a seed document of another random seed.
    """
    question = "Can a classifier tell what is inside these organizations from the model's (AUC, 99.9 % band)?"
    n = min(len(observed), INSIDE_CLASSIFIED)
    if n < FEWEST:
        answer = f"too few organizations ({n}) to tell anything; {FEWEST} are needed"
        return judge("statistical", "inside", question, n, [], answer)
    drawn = create_seed(model, random_seed ^ 1, INSIDE_REFERENCE).organizations
    both = inside_frame(observed), inside_frame(drawn)
    names = [name for name in both[1] if name in both[0]]
    found, pool = (frame[names].to_numpy(dtype=np.float64) for frame in both)
    found = found[rng.permutation(len(found))[:n]]
    auc = ridge_auc(found, pool[rng.permutation(len(pool))[:n]], rng)
    null = []
    for _ in range(CLASSIFIER_BOOTSTRAP):
        order = rng.permutation(len(pool))
        null.append(ridge_auc(pool[order[:n]], pool[order[n : 2 * n]], rng))
    band = float(np.quantile(null, 1 - SIGNIFICANCE, method="higher"))
    text = f"AUC {auc:.2f}, band {band:.2f}, 0.5 is indistinguishable"
    return judge("statistical", "inside", question, n, [text] if auc > band else [], text)


def _features(frame: pd.DataFrame) -> FloatArray:
    values: FloatArray = np.log1p(frame.to_numpy(dtype=np.float64))
    upper = np.triu_indices(values.shape[1])
    return np.hstack([values, values[:, upper[0]] * values[:, upper[1]]])


def ridge_auc(first: FloatArray, second: FloatArray, rng: np.random.Generator) -> float:
    """Return how well a cross-validated ridge discriminant tells two samples apart, 0.5 (not) to 1 (fully).

    Parameters
    ----------
    first, second : array, shape (n, n_features)
    """
    features = np.vstack([first, second])
    features = features[:, features.std(axis=0) > 0]
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    fold = np.concatenate([rng.permutation(len(part)) % FOLDS for part in (first, second)])
    return two_sample_auc(features[: len(first)], features[len(first) :], fold, _discriminate)


def _discriminate(known: FloatArray, is_first: FloatArray, others: FloatArray) -> FloatArray:
    gram = known.T @ known + RIDGE * np.eye(known.shape[1])
    return np.asarray(others @ np.linalg.solve(gram, known.T @ is_first))
