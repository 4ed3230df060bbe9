"""Summaries of the format before: strata with quantiles and rank correlations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from psrlib.errors import InputError
from psrlib.model.fit import fit_directory
from psrlib.stats import read_summary
from psrlib.stats.sample import make_sample


def stratum(frame: pd.DataFrame, levels: list[float]) -> dict[str, Any]:
    correlation = frame.rank().corr().fillna(0).to_numpy(copy=True)
    np.fill_diagonal(correlation, 1.0)
    return {
        "organizations": len(frame),
        "quantiles": {n: np.quantile(frame[n], levels, method="inverted_cdf").tolist() for n in frame},
        "zero_share": {n: float((frame[n] == 0).mean()) for n in frame},
        "frequent": {n: {} for n in frame},
        "rank_correlation": correlation.tolist(),
    }


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    frame = make_sample(200, 2).metrics()
    levels = [level / 40 for level in range(41)]
    small = frame["jobs"] <= frame["jobs"].median()
    strata = [stratum(part, levels) for part in (frame[small], frame[~small])]
    return {"format": "psr-summary/1", "levels": levels, "metrics": list(frame), "strata": strata}


def written(folder: Path, summary: dict[str, Any]) -> Path:
    path = folder / "summary.json"
    path.write_text(json.dumps(summary))
    return path


def test_it_is_read_and_fitted(tmp_path: Path, summary: dict[str, Any]) -> None:
    """An archetype per stratum, as large as the stratum."""
    path = written(tmp_path, summary)
    assert read_summary(path) == json.loads(json.dumps(summary))
    model = fit_directory(path).model
    assert [a.weight for a in model.archetypes] == [s["organizations"] for s in summary["strata"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["metrics"].remove("users"), "metrics lack users"),
        (lambda s: s.pop("strata"), "strata are needed"),
        (lambda s: s["strata"][0].pop("zero_share"), '"zero_share" is missing'),
        (lambda s: s["strata"][0]["quantiles"]["jobs"].reverse(), "must ascend"),
        (lambda s: s["strata"][0]["quantiles"]["jobs"].pop(), "needs 41 quantiles"),
        (lambda s: s["strata"][0]["rank_correlation"].pop(), "symmetric"),
        (lambda s: s["strata"][0]["rank_correlation"][0].__setitem__(1, 0.9), "symmetric"),
    ],
    ids=["metric", "strata", "field", "order", "length", "shape", "asymmetric"],
)
def test_a_wrong_one_is_refused(tmp_path: Path, summary: dict[str, Any], change, message: str) -> None:
    """The error names stratum and field."""
    broken = json.loads(json.dumps(summary))
    change(broken)
    with pytest.raises(InputError, match=message):
        read_summary(written(tmp_path, broken))


def test_a_contradictory_correlation_is_refused(tmp_path: Path, summary: dict[str, Any]) -> None:
    """A matrix that no data can have is not positive definite."""
    broken = json.loads(json.dumps(summary))
    matrix = broken["strata"][1]["rank_correlation"]
    for i, j, value in ((0, 1, 0.9), (0, 2, 0.9), (1, 2, -0.9)):
        matrix[i][j] = matrix[j][i] = value
    with pytest.raises(InputError, match="positive definite"):
        read_summary(written(tmp_path, broken))
