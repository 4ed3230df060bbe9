"""Fitting the inside of organizations: styles and patterns of each detail table, links between entities."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import gammaln
from threadpoolctl import threadpool_limits

from psrlib.arrays import FloatArray, IntArray
from psrlib.model.fit.columns import FEWEST, FittedColumn, fit_numbers, fit_texts
from psrlib.model.fit.forest import node_spec
from psrlib.model.fit.links import STYLES, fit_sharing, observe_sharing
from psrlib.model.fit.styles import StyleForest, fit_forest, fit_mixture, sample_rows
from psrlib.model.inside import REPEAT_ONE, link_features, mean_cell, mean_feature, observe_link
from psrlib.model.specs import ColumnSpec, ConditionalSpec, EntitiesSpec, InsideSpec, LinkSpec, NodeSpec
from psrlib.model.strangers import NUMBERS
from psrlib.model.table import SCALE
from psrlib.stats import StatsSet
from psrlib.stats.inside import organizations_rows
from psrlib.words import ACTIONS, AT_MOST, EVENTS, LINKS

N_STYLES, N_PATTERNS = 24, 24  # at most
_ORGANIZATIONS_PER_STYLE = 12
_MIN_LEAF = 20  # organizations of a leaf of the forests that tell the style
_ENOUGH = 50  # entities below which a table says too little and the default stays
_TOGETHER = 0.06  # correlation inside organizations above which columns share patterns
_TOTAL = 10_000  # weights of a row are integers that sum to about this
_REPEATS = (1, 2, 4, 8, 16, 32, 64, 128)  # entities' worth; what is tried for each style
# Quartz texts for periods of scheduled tasks, by the longest period they stand for (s)
_CRONS = (
    (900, "0 0/5 * * * ? *"),
    (7200, "0 0 * * * ? *"),
    (28800, "0 0 0/6 * * ? *"),
    (64800, "0 0 0/12 * * ? *"),
    (129600, "0 0 0 * * ? *"),
    (400000, "0 0 3 ? * MON,WED,FRI *"),
    (900000, "0 0 1 ? * MON *"),
    (10**12, "0 0 0 1 * ? *"),
)
# Columns that are fitted together, by kind: the texts that are known, None for numbers
_Columns = dict[str, tuple[str, ...] | None]
_COLUMNS: tuple[tuple[str, _Columns], ...] = (
    ("pipelines", dict.fromkeys(("stages", "commits", "labels", "parameters", "definition_bytes"))),
    ("jobs", dict.fromkeys(("instances", "engine_labels", "tags"))),
    ("scheduled_tasks", {"cron": tuple(cron for _, cron in _CRONS), "action": ACTIONS}),
    ("subscriptions", {"event": EVENTS, "action": ("WEBHOOK", "EMAIL"), "enabled": None}),
    ("users", {"roles": None}),
    ("users", {"groups": None}),
)


def fit_inside(stats: StatsSet) -> InsideSpec | None:
    """Fit what entities look like and how they share what they refer to, from detail tables.

    Every table, column and link that the stats set has enough of is fitted, in one order: the style of a kind
    may depend on counts, limits, and on what the kinds before it turned out to be in the organization. None
    where nothing was to be fitted.
    """
    with threadpool_limits(1):  # threads would wait for each other for longer than the work takes
        return _fit_inside(stats)


def _fit_inside(stats: StatsSet) -> InsideSpec | None:
    organizations = stats.organizations
    features = stats.metrics()
    rng = np.random.default_rng(0)
    entities: list[EntitiesSpec] = []
    links: dict[str, LinkSpec] = {}
    for kind, known in _COLUMNS:
        if kind in stats.details:
            rows, place = organizations_rows(organizations, stats.details[kind])
            for limit in {AT_MOST.get((kind, name)) for name in known} & set(organizations):
                free = organizations[limit].to_numpy()[place] > 0  # what has to be 0 tells nothing
                rows, place = rows[free], place[free]
            columns = _fit_columns(kind, known, rows, place, rng) if len(rows) >= _ENOUGH else {}
            counts = np.bincount(place, minlength=len(features))
            for group in _group(columns, place):
                entities.append(_fit_entities(kind, group, place, features, rng))
                means = {n: mean_cell(place, column.index, counts) for n, column in group.items()}
                features = features.assign(**{mean_feature(kind, n): mean for n, mean in means.items()})
    for (kind, column), target in LINKS.items():
        if kind in stats.details and column in stats.details[kind]:
            rows, place = organizations_rows(organizations, stats.details[kind])
            key = pd.factorize(rows[column])[0]
            if len(rows) >= _ENOUGH:
                name = f"{kind}.{column}"
                links[name] = _fit_link(place, key, organizations[target].to_numpy(), features, rng)
                seen = observe_link(place, key, np.bincount(place, minlength=len(features)))
                features = features.assign(**dict(zip(link_features(name), seen, strict=True)))
    return InsideSpec(entities=entities, links=links) if entities or links else None


def fitted_columns(spec: InsideSpec | None) -> list[str]:
    """Return what was fitted, as ``kind.column``."""
    if spec is None:
        return []
    columns = [f"{group.kind}.{name}" for group in spec.entities for name in group.columns]
    return [*columns, *spec.links]


def _fit_columns(
    kind: str, columns: _Columns, rows: pd.DataFrame, place: IntArray, rng: np.random.Generator
) -> dict[str, FittedColumn]:
    if "period_s" in rows:
        limits, crons = zip(*_CRONS, strict=True)
        rows = rows.assign(cron=np.array(crons)[np.searchsorted(limits, rows["period_s"])])
    fitted: dict[str, FittedColumn] = {}
    earlier: dict[str, IntArray] = {}
    for name, known in columns.items():
        if name not in rows:
            continue
        if known is None:
            values = rows[name].clip(*NUMBERS[kind, name]).to_numpy(dtype=np.int64)
            fitted[name] = fit_numbers(place, values, earlier, rng)
            earlier[name] = values
        elif column := fit_texts(place, rows[name].tolist(), known):
            fitted[name] = column
    return fitted


def _group(columns: dict[str, FittedColumn], place: IntArray) -> list[dict[str, FittedColumn]]:
    """Return the columns in groups: those that go with each other inside organizations share patterns.

    A column that goes with no other gets styles of its own, which can then say more of it; and so does one
    whose tree says already how it goes with the others, after them.
    """
    followers = [{name: column} for name, column in columns.items() if column.tree]
    columns = {name: column for name, column in columns.items() if not column.tree}
    names = list(columns)
    if not names:
        return followers
    counts = np.maximum(np.bincount(place), 1)
    cells = np.stack([column.index.astype(float) for column in columns.values()])
    means = np.stack([np.bincount(place, cell) for cell in cells]) / counts
    inside = cells - means[:, place]
    scale = np.maximum(np.sqrt((inside**2).sum(axis=1)), 1e-9)
    together = np.abs(inside @ inside.T / scale[:, None] / scale[None, :])
    group = list(range(len(names)))
    for first, second in zip(*np.nonzero(np.triu(together > _TOGETHER, 1)), strict=True):
        old, new = group[second], group[first]
        group = [new if one == old else one for one in group]
    return [
        {name: columns[name] for name, one in zip(names, group, strict=True) if one == number}
        for number in sorted(set(group))
    ] + followers


def _fit_entities(
    kind: str,
    columns: dict[str, FittedColumn],
    place: IntArray,
    features: pd.DataFrame,
    rng: np.random.Generator,
) -> EntitiesSpec:
    present, local = np.unique(place, return_inverse=True)
    x = features.to_numpy(dtype=float)[present]
    n_styles = int(np.clip(len(present) // _ORGANIZATIONS_PER_STYLE, 1, N_STYLES))
    cells = [column.index for column in columns.values()]
    mixture = fit_mixture(local, cells, x, n_styles, N_PATTERNS, _MIN_LEAF)
    style = sample_rows(mixture.membership, rng)
    pattern = sample_rows(mixture.pattern_of, rng)
    repeats = _fit_repeats(local[mixture.counted], pattern, style, mixture.styles)
    specs = {
        name: _column_spec(column, shares)
        for (name, column), shares in zip(columns.items(), mixture.patterns, strict=True)
    }
    forest = fit_forest(x, mixture.membership, _MIN_LEAF)
    return EntitiesSpec(
        kind=kind,
        columns=specs,
        styles=_integers(mixture.styles),
        repeats=repeats,
        style=_style_spec(forest, [*map(str, features)], n_styles=len(mixture.styles)),
    )


def _fit_repeats(place: IntArray, pattern: IntArray, style: IntArray, styles: FloatArray) -> list[int]:
    """Return per style how much entities follow earlier ones (likeliest Dirichlet-multinomial); 0: not."""
    counts = np.zeros((len(style), styles.shape[1]))
    np.add.at(counts, (place, pattern), 1)
    repeats = []
    for number, shares in enumerate(styles):
        own = counts[(style == number) & (counts.sum(axis=1) > 1)]
        best = 0
        if len(own) >= FEWEST:
            share = np.maximum(shares, 1e-6)
            scores = {0: float((own @ np.log(share)).sum())}
            for repeat in _REPEATS:
                prior = repeat * share
                each = gammaln(prior + own).sum(axis=1) - gammaln(prior).sum()
                scores[repeat] = float((each + gammaln(repeat) - gammaln(repeat + own.sum(axis=1))).sum())
            best = max(scores, key=lambda repeat: scores[repeat])
        repeats.append(best * REPEAT_ONE)
    return repeats


def _fit_link(
    place: IntArray, key: IntArray, n_choices: IntArray, features: pd.DataFrame, rng: np.random.Generator
) -> LinkSpec:
    seen = observe_sharing(place, key, n_choices, rng)
    some = np.flatnonzero((seen.n_entities > 1) & (seen.n_choices > 1))
    if len(some) < 2 * FEWEST:
        return LinkSpec(styles=[(0, 0, 0)])
    seen = replace(seen, **{name: values[some] for name, values in vars(seen).items()})
    x = features.to_numpy(dtype=float)[some]
    forest = fit_sharing(seen, x, min(_MIN_LEAF, len(some) // 2), rng)
    return LinkSpec(styles=STYLES, style=_style_spec(forest, [*map(str, features)], len(STYLES)))


def _column_spec(column: FittedColumn, patterns: FloatArray) -> ColumnSpec:
    return ColumnSpec(
        texts=column.texts,
        tree=column.tree,
        tables=column.tables,
        cells=column.cells,
        patterns=_integers(patterns),
    )


def _integers(shares: FloatArray) -> list[list[int]]:
    whole: IntArray = np.round(shares / shares.sum(axis=1, keepdims=True) * _TOTAL).astype(np.int64)
    return [[int(weight) for weight in row] for row in whole]


def _style_spec(forest: StyleForest, names: list[str], n_styles: int) -> ConditionalSpec:
    """Return a forest as it stands in a model file; each style is a cell of equal width."""
    trees = [node_spec(tree, leaves, names) for tree, leaves in forest.trees]
    used = {name for tree in trees for name in _asked(tree)}
    cells = [SCALE * style // n_styles for style in range(n_styles + 1)]
    return ConditionalSpec(given=[n for n in names if n in used] or names[:1], cells=cells, trees=trees)


def _asked(node: NodeSpec) -> set[str]:
    """Return the metrics that a tree asks about."""
    if node.metric is None or node.yes is None or node.no is None:
        return set()
    return {node.metric} | _asked(node.yes) | _asked(node.no)
