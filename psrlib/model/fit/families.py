"""Named families of counts: what each is, and its maximum likelihood fit.

Every family is a probability mass function on 0, 1, 2, ...; fits maximize the likelihood of the distinct
values weighted by how often they occur (scipy.optimize). Formulas: Johnson, Kemp, Kotz, Univariate
Discrete Distributions (2005), chapters 4, 5 and 8.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from psrlib.arrays import FloatArray, IntArray
from psrlib.errors import FitError

Cdf = Callable[[FloatArray, FloatArray], FloatArray]  # (upper ends of integers, parameters) -> probability


@dataclass(frozen=True)
class Family:
    """A family: cumulative distribution, names of its parameters, starting point on the free scale.

    ``to_parameters`` maps unbounded numbers to parameters (logarithms, logits).
    """

    name: str
    parameters: tuple[str, ...]
    cdf: Cdf
    start: Callable[[IntArray], list[float]]
    to_parameters: Callable[[FloatArray], FloatArray]
    zero: str = ""  # "inflated" or "hurdle": how zeros are treated apart


@dataclass(frozen=True)
class FamilyFit:
    """A fitted family."""

    family: Family
    parameters: dict[str, float]  # 6 significant digits, so that files do not carry an optimizer's last bits
    aic: float  # Akaike's information criterion; smaller is better
    free: FloatArray  # the same on the optimizer's unbounded scale

    def cdf(self, values: IntArray) -> FloatArray:
        """Return the probability of at most each value."""
        return full_cdf(self.family, np.array(list(self.parameters.values())), values)


def _logistic(x: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def _positive(x: FloatArray) -> FloatArray:
    return np.asarray(np.exp(np.clip(x, -25, 25)))


def _poisson(k: FloatArray, p: FloatArray) -> FloatArray:
    return np.where(k >= 0, special.pdtr(np.maximum(k, 0), p[0]), 0.0)


def _negative_binomial(k: FloatArray, p: FloatArray) -> FloatArray:
    return np.where(k >= 0, special.betainc(p[1], np.maximum(k, 0) + 1, p[1] / (p[1] + p[0])), 0.0)


def _lognormal(k: FloatArray, p: FloatArray) -> FloatArray:
    """Discretized: the probability of k is that of the interval from k to k + 1."""
    return np.asarray(special.ndtr((np.log(np.maximum(k + 1, 1e-9)) - p[0]) / p[1])) * (k >= 0)


def _power_law(k: FloatArray, p: FloatArray) -> FloatArray:
    """Discretized Lomax: survival ((k + 1) / scale + 1) ** -index, a power law in the tail."""
    return np.asarray(np.where(k >= 0, 1 - (np.maximum(k + 1, 0) / p[1] + 1) ** -p[0], 0))


def _log_mean(counts: IntArray) -> float:
    return float(np.log(max(float(counts.mean()), 1e-3)))


def _log_mean_scale(counts: IntArray) -> list[float]:
    logs = np.log(counts + 0.5)
    return [float(logs.mean()), float(np.log(max(logs.std(), 0.1)))]


_BASE = (
    Family("poisson", ("mean",), _poisson, lambda c: [_log_mean(c)], _positive),
    Family(
        "negative_binomial", ("mean", "size"), _negative_binomial, lambda c: [_log_mean(c), 0.0], _positive
    ),
    Family(
        "lognormal",
        ("mu", "sigma"),
        _lognormal,
        _log_mean_scale,
        lambda x: np.array([x[0], _positive(x[1:])[0]]),
    ),
    Family("power_law", ("index", "scale"), _power_law, lambda c: [0.5, _log_mean(c)], _positive),
)


def _with_zeros(family: Family, zero: str) -> Family:
    prefix = "zero_inflated" if zero == "inflated" else "hurdle"
    return Family(
        f"{prefix}_{family.name}",
        ("zero_share", *family.parameters),
        family.cdf,
        lambda c: [0.0, *family.start(c[c > 0] if (c > 0).any() else c)],
        lambda x: np.concatenate([_logistic(x[:1]), family.to_parameters(x[1:])]),
        zero,
    )


FAMILIES = (
    *_BASE,
    *(_with_zeros(family, "inflated") for family in _BASE[:2]),
    *(_with_zeros(family, "hurdle") for family in _BASE[1:]),
)


def full_cdf(family: Family, parameters: FloatArray, values: IntArray) -> FloatArray:
    """Return the cumulative distribution of a family, zeros treated as it says."""
    k = np.asarray(values, dtype=float)
    if not family.zero:
        return family.cdf(k, parameters)
    share, inner = parameters[0], family.cdf(k, parameters[1:])
    if family.zero == "inflated":
        return np.where(k >= 0, share + (1 - share) * inner, 0)
    at_zero = family.cdf(np.zeros(1), parameters[1:])[0]
    above = (inner - at_zero) / max(1 - at_zero, 1e-12)
    return np.where(k >= 0, share + (1 - share) * np.clip(above, 0, 1), 0)


def fit_family(family: Family, counts: IntArray, near: FloatArray | None = None) -> FamilyFit:
    """Fit a family to counts of shape (n_organizations,), not negative, by maximum likelihood.

    ``near`` is where to start on the free scale: a good guess saves most of the work.

    Raises
    ------
    FitError
        If the optimizer finds no finite likelihood.
    """
    values, weight = np.unique(counts, return_counts=True)

    def cost(x: FloatArray) -> float:
        parameters = family.to_parameters(x)
        mass = full_cdf(family, parameters, values) - full_cdf(family, parameters, values - 1)
        return float(-(weight * np.log(np.maximum(mass, 1e-300))).sum())

    with np.errstate(all="ignore"):
        found = optimize.minimize(
            cost,
            family.start(counts) if near is None else near,
            method="Nelder-Mead",
            options={"maxiter": 250, "xatol": 1e-3, "fatol": 1e-3},
        )
    if not np.isfinite(found.fun) or found.fun > 600 * len(counts):
        raise FitError(f"{family.name}: no finite likelihood for {len(counts)} counts")
    parameters = [float(f"{value:.6g}") for value in family.to_parameters(found.x)]
    named = dict(zip(family.parameters, parameters, strict=True))
    return FamilyFit(family, named, 2 * len(parameters) + 2 * float(found.fun), found.x)
