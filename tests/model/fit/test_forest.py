"""Trees are those of scikit-learn's random forest, grown without its ceremony."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from psrlib.model.fit.forest import grow_trees


@pytest.mark.parametrize(("n_trees", "max_features", "bootstrap"), [(4, 1.0, True), (3, 0.5, False)])
def test_trees_are_those_of_a_random_forest(
    n_trees: int, max_features: float, bootstrap: bool, rng: np.random.Generator
) -> None:
    """Same questions and same answers, tree by tree."""
    features = np.floor(rng.lognormal(2, 1, (300, 5)))
    target = (features[:, :1] + rng.normal(0, 5, (300, 1)) < np.arange(1, 30, 4)).astype(float)
    forest = RandomForestRegressor(
        n_trees, min_samples_leaf=12, max_features=max_features, bootstrap=bootstrap, random_state=0
    ).fit(features, target)
    trees = grow_trees(features, target, n_trees, 12, max_features, bootstrap)
    assert len(trees) == n_trees
    for tree, estimator in zip(trees, forest.estimators_, strict=True):
        assert np.array_equal(tree.feature, estimator.tree_.feature)
        assert np.array_equal(tree.threshold, estimator.tree_.threshold)
        assert np.array_equal(tree.value, estimator.tree_.value)
