"""What intervals are made of."""

import pytest
from scipy.special import stdtrit

from psrlib.watch.statistics import student_quantile


@pytest.mark.parametrize("freedom", [4, 4.7, 10, 38.2, 100])
@pytest.mark.parametrize("probability", [0.5, 0.8, 0.975, 0.99])
def test_quantiles_of_student_are_those_of_scipy(probability: float, freedom: float) -> None:
    """For any degrees of freedom, also broken ones, as Welch's are."""
    assert student_quantile(probability, freedom) == pytest.approx(stdtrit(freedom, probability), rel=1e-10)
