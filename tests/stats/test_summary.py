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


def test_histograms_hold_every_organization(summary: dict) -> None:
    """Each metric counts the 400 organizations once, at least five at a time."""
    for marginal in summary["marginals"].values():
        assert sum(marginal["organizations"]) == 400
        assert min(marginal["organizations"]) >= 5


def test_no_single_largest_value_is_told() -> None:
    """The largest quantile is a mean of five organizations, so a giant's count does not show."""
    stats = make_sample(200, 6)
    stats.organizations.loc[0, ["jobs", "pipelines"]] = 123_457
    assert "123457" not in json.dumps(summarize(stats))


def test_too_few_organizations_are_refused() -> None:
    """Quantiles of a handful of organizations would be their rows."""
    with pytest.raises(InputError, match="too few"):
        summarize(make_sample(15, 1))


def first_leaf(node: dict) -> dict:
    return first_leaf(node["yes"]) if "at_most" in node else node


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(format="x"), "\"format\" is 'x'; expected"),
        (lambda s: s["metrics"].remove("users"), "metrics lack users"),
        (lambda s: s["metrics"].append("users"), "each metric once"),
        (lambda s: s.update(organizations=0), '"organizations" must be a positive integer, received 0'),
        (lambda s: s["marginals"].pop("jobs"), 'marginal of "jobs": missing'),
        (lambda s: s["marginals"].update(x={}), "marginals of x, which the metrics lack"),
        (lambda s: s["marginals"]["jobs"].pop("low"), '"low" must be a list of integers, received None'),
        (lambda s: s["marginals"]["jobs"]["low"].reverse(), "jobs"),
        (lambda s: s["marginals"]["users"]["high"].pop(), "equally many"),
        (lambda s: s["marginals"]["jobs"]["organizations"].__setitem__(0, 0), "must be positive, received 0"),
        (lambda s: s["marginals"]["jobs"]["low"].__setitem__(0, -3), "expected at least 0"),
        (lambda s: s["marginals"]["active_jobs"].update(share_of="x"), "share_of is 'x'; expected a count"),
        (lambda s: s["marginals"]["max_users"].update(share_of="jobs"), "a limit is a count"),
        (lambda s: s["conditionals"]["users"].update(given=["x"]), "given has x"),
        (lambda s: s["conditionals"]["users"]["cells"].reverse(), "ascending"),
        (lambda s: s["conditionals"]["users"].pop("tree"), "expected a node"),
        (lambda s: s["conditionals"]["users"]["tree"].update(metric="x"), "a node asks for 'x'"),
        (lambda s: s["conditionals"]["users"]["tree"].update(at_most=1.5), "received 1.5"),
        (lambda s: first_leaf(s["conditionals"]["users"]["tree"])["cells"].append(99), "leaf: cells begin"),
        (
            lambda s: first_leaf(s["conditionals"]["users"]["tree"])["organizations"].__setitem__(0, -1),
            "leaf",
        ),
    ],
)
def test_a_wrong_summary_is_refused(tmp_path: Path, summary: dict, change, message: str) -> None:
    """The error names file, metric and field."""
    broken = json.loads(json.dumps(summary))
    change(broken)
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(broken))
    with pytest.raises(InputError, match=message):
        read_summary(path)
