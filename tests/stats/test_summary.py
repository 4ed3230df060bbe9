"""Summaries of stats sets."""

import json
from pathlib import Path

import pytest

from psrlib.errors import InputError
from psrlib.stats import read_summary, summarize
from psrlib.stats.sample import make_sample


@pytest.fixture(scope="module")
def summary() -> dict:
    return summarize(make_sample(400, 2))


def test_a_summary_survives_json(tmp_path: Path, summary: dict) -> None:
    """What summarize returns is what read_summary reads."""
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(summary))
    assert read_summary(path) == summary


def test_strata_hold_every_organization(summary: dict) -> None:
    """Four strata of 100 organizations, quantiles ascending."""
    assert [stratum["organizations"] for stratum in summary["strata"]] == [100] * 4
    for stratum in summary["strata"]:
        assert all(sorted(q) == q for q in stratum["quantiles"].values())


def test_no_single_largest_value_is_told() -> None:
    """The largest quantile is a mean of five organizations, so a giant's count does not show."""
    stats = make_sample(200, 6)
    stats.organizations.loc[0, ["jobs", "pipelines"]] = 123_457
    assert "123457" not in json.dumps(summarize(stats))


def test_too_few_organizations_are_refused() -> None:
    """Quantiles of a handful of organizations would be their rows."""
    with pytest.raises(InputError, match="too few"):
        summarize(make_sample(15, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(format="x"), "format"),
        (lambda s: s["metrics"].remove("users"), "metrics lack users"),
        (lambda s: s["strata"][0].pop("zero_share"), '"zero_share" is missing'),
        (lambda s: s["strata"][0]["quantiles"]["jobs"].reverse(), "must ascend"),
        (lambda s: s["strata"][0]["quantiles"]["jobs"].pop(), "needs 41 quantiles"),
        (lambda s: s["strata"][0]["rank_correlation"].pop(), "symmetric"),
        (lambda s: s["strata"][0]["rank_correlation"][0].__setitem__(1, 0.9), "symmetric"),
    ],
    ids=["format", "metric", "field", "order", "length", "shape", "asymmetric"],
)
def test_a_wrong_summary_is_refused(tmp_path: Path, summary: dict, change, message: str) -> None:
    """The error names stratum and field."""
    broken = json.loads(json.dumps(summary))
    change(broken)
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(broken))
    with pytest.raises(InputError, match=message):
        read_summary(path)


def test_a_contradictory_correlation_is_refused(tmp_path: Path, summary: dict) -> None:
    """A matrix that no data can have is not positive definite."""
    broken = json.loads(json.dumps(summary))
    matrix = broken["strata"][1]["rank_correlation"]
    for i, j, value in ((0, 1, 0.9), (0, 2, 0.9), (1, 2, -0.9)):
        matrix[i][j] = matrix[j][i] = value
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(broken))
    with pytest.raises(InputError, match="positive definite"):
        read_summary(path)
