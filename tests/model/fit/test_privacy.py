"""Privacy of a model."""

import numpy as np

from psrlib.model.fit import Fit
from psrlib.model.fit.privacy import measure_privacy
from psrlib.stats.sample import make_sample


def test_a_copy_is_recognised() -> None:
    """A sample that repeats the training rows has copies and no distance."""
    training, held_out = make_sample(400, 1).metrics(), make_sample(400, 2).metrics()
    figures = measure_privacy(training, training, held_out)
    assert figures.drawn_copies == 1.0
    assert figures.distance_ratio == 0.0


def test_drawn_organizations_are_no_nearer_than_strangers(tiny_fit: Fit) -> None:
    """5,000 draws copy no recognisable training row more often than held-out rows do, nor come nearer."""
    training, held_out = make_sample(300, 8).metrics(), make_sample(3000, 21).metrics()
    drawn = tiny_fit.model.draw(5000, 3).frame()[list(training.columns)]
    figures = measure_privacy(drawn, training, held_out)
    assert figures.drawn_copies <= figures.held_out_copies + 0.003
    assert figures.distance_ratio > 0.85


def test_an_unusual_row_is_never_drawn_exactly(tiny_fit: Fit) -> None:
    """The largest training organization does not come out again."""
    training = make_sample(300, 8).metrics()
    drawn = tiny_fit.model.draw(20_000, 5).frame()[list(training.columns)]
    largest = training.loc[training["jobs"].idxmax()].to_numpy()
    assert not (drawn.to_numpy() == largest).all(axis=1).any()
    assert np.isfinite(drawn.to_numpy()).all()
