"""The fitted inside of organizations: every detail as its table has it, and organizations that differ."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from psrlib.model import NoiseModel
from psrlib.model.fit.columns import FEWEST, merge_values
from psrlib.model.fit.inside import fit_inside, fitted_columns
from psrlib.model.fit.relational import compare_inside, detail_tables, draw_stats
from psrlib.model.inside import Inside
from psrlib.model.specs import EntitiesSpec
from psrlib.stats import StatsSet
from psrlib.stats.inside import NUMBERS, intraclass_correlation, organizations_rows
from psrlib.stats.sample import make_sample
from psrlib.stats.two_samples import ks_distance

NUMBER_COLUMNS = [
    f"{kind}.{column}" for kind, columns in NUMBERS.items() for column in columns if column != "period_s"
]


@cache
def sample() -> StatsSet:
    return make_sample(700, 3)


@cache
def drawn_like_the_sample(number: int = 0) -> StatsSet:
    """The sample's organizations, their insides drawn anew from the model fitted to them."""
    organizations = sample().organizations
    inside = fitted_to_the_sample()
    rng = np.random.default_rng(number)
    known = {name: organizations[name].to_numpy() for name in organizations if name != "org"}

    def words(name: str, counts: np.ndarray, width: int) -> list[np.ndarray]:
        return list(rng.integers(0, 2**64, (width, int(counts.sum())), dtype=np.uint64))

    style_words = rng.integers(0, 2**64, (len(organizations), inside.n_words), dtype=np.uint64)
    drawn = inside.draw(known, style_words, words)
    return StatsSet(organizations, detail_tables(inside, organizations, drawn))


@cache
def fitted_to_the_sample() -> Inside:
    return Inside(fit_inside(sample()))


def values_of(stats: StatsSet, name: str) -> tuple[np.ndarray, np.ndarray]:
    kind, column = name.split(".")
    rows, place = organizations_rows(stats.organizations, stats.details[kind])
    return place, rows[column].to_numpy()


@pytest.mark.parametrize("name", NUMBER_COLUMNS)
def test_every_detail_has_mean_largest_and_distribution_of_its_table(name: str) -> None:
    """Nothing is multiplied, dropped or cut: what is drawn is what the table holds.

    Six draws together: in one, few large organizations decide.
    """
    place, observed = values_of(sample(), name)
    drawn = np.concatenate([values_of(drawn_like_the_sample(number), name)[1] for number in range(6)])
    assert abs(drawn.mean() / observed.mean() - 1) < 0.08
    outermost = pd.Series(observed).groupby(place).max().sort_values()
    assert outermost.iloc[-3 * FEWEST] <= drawn.max() <= outermost.iloc[-1]
    alike = intraclass_correlation(place, observed)
    assert ks_distance(drawn, observed) < 0.05 + 0.08 * alike


@pytest.mark.parametrize("name", NUMBER_COLUMNS)
def test_entities_of_an_organization_are_as_alike_as_in_the_table(name: str) -> None:
    """The share of the variance that lies between organizations is kept."""
    drawn, observed = (
        intraclass_correlation(*values_of(s, name)) for s in (drawn_like_the_sample(), sample())
    )
    assert abs(drawn - observed) < 0.12


def test_a_column_that_follows_another_is_drawn_along_it() -> None:
    """The size of a definition goes with its stages; a fifth of its variance at most is lost."""
    correlation = []
    for stats in (sample(), drawn_like_the_sample()):
        pipelines = np.log1p(stats.details["pipelines"][["stages", "definition_bytes"]])
        correlation.append(pipelines.corr().iloc[0, 1])
    assert correlation[1] > 0.9 * correlation[0]


def test_each_text_has_the_share_of_its_table() -> None:
    """Actions and events."""
    for kind, column in (
        ("scheduled_tasks", "action"),
        ("subscriptions", "event"),
        ("subscriptions", "action"),
    ):
        shares = [
            s.details[kind][column].value_counts(normalize=True) for s in (sample(), drawn_like_the_sample())
        ]
        assert (shares[0] - shares[1]).abs().max() < 0.06


def test_drawn_insides_resemble_organizations_not_seen(tiny_fit) -> None:
    """Fitted to 300 organizations, compared with 600 others: the relational AUC is near one half."""
    figures = compare_inside(tiny_fit.model, make_sample(300, 8), make_sample(600, 99))
    assert figures["relational_auc"]["drawn_against_held_out"] < 0.78
    assert figures["relational_auc"]["real_against_real"] < 0.6
    for one in figures["links"].values():
        assert abs(one["drawn"] - one["held_out"]) < 0.12


def test_a_range_stands_for_at_least_six_organizations() -> None:
    """An organization with forty pipelines of a length that nobody else has is not told."""
    place = np.repeat(np.arange(30), 40)
    values = np.where(place == 3, 77, 2 + np.arange(1200) % 20)
    table = merge_values(place, values)
    for low, high in zip(table.low, table.high or table.low, strict=True):
        inside = (values >= low) & (values <= max(high, values.max() if low == table.low[-1] else 0))
        assert len(set(place[inside])) >= FEWEST
    assert max(table.high or table.low) < 77


def test_styles_and_leaves_stand_for_several_organizations(tiny_fit) -> None:
    """Styles are at most one for twelve organizations; cells are those of ranges that six share."""
    spec = fit_inside(make_sample(120, 5))
    assert spec is not None
    for group in spec.entities:
        assert isinstance(group, EntitiesSpec)
        assert len(group.styles) <= 10


def test_what_a_stats_set_lacks_is_left_to_the_defaults() -> None:
    """Without detail tables nothing is fitted; without a column the others are; too few rows say nothing."""
    stats = make_sample(60, 1)
    assert fit_inside(StatsSet(stats.organizations)) is None
    pipelines = stats.details["pipelines"][["org", "stages", "labels"]]
    few = stats.details["jobs"].head(20)
    spec = fit_inside(StatsSet(stats.organizations, {"pipelines": pipelines, "jobs": few}))
    assert set(fitted_columns(spec)) == {"pipelines.stages", "pipelines.labels"}


def test_drawn_stats_keep_the_counts(tiny_fit) -> None:
    """Each detail table has as many rows as the organization's count says; and links lead inside."""
    model: NoiseModel = tiny_fit.model
    stats = draw_stats(model, 50, 1)
    counts = stats.organizations.set_index("org")
    for kind, table in stats.details.items():
        rows = table.groupby("org").size().reindex(counts.index).fillna(0)
        administrators = int(kind == "users")  # who have no row
        assert (rows == (counts[kind] - administrators).clip(lower=0)).all()
    owners = stats.details["jobs"].groupby("org")["owner"].max()
    assert (owners < counts["users"].reindex(owners.index)).all()
