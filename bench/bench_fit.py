"""Fit a noise model and print the figures of the study: AUC, KS complement, Spearman difference, privacy.

Four tenant populations of ours (the shipped sample's process, and three with other tenants, tails, dependence
and exact relations) and three real tables that nobody here made (`data/README.md`). Each is fitted on 1,000
organizations and compared with 1,000 others, beside real against real, with a peer (sequential CART) by the
cross AUC, and once more from its summary alone. ``--organizations N`` changes the size, ``--only NAME`` takes
one.
"""

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeRegressor

from psrlib import paths
from psrlib.model.fit import Fit, fit_metrics, fit_summary, format_model
from psrlib.model.fit.defaults import default_details
from psrlib.model.fit.goodness import compare, cross_auc
from psrlib.model.fit.privacy import measure_privacy
from psrlib.model.noise_model import NoiseModel
from psrlib.stats import StatsSet, summarize
from psrlib.stats.sample import make_sample
from psrlib.words import REQUIRED_COUNTS

Process = Callable[[np.random.Generator, int], pd.DataFrame]


def sample_process(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Return five kinds of tenants: the process of the shipped sample."""
    return make_sample(n, int(rng.integers(2**31))).metrics()


def one_size_factor(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Return tenants along one lognormal size (sigma 1.65) with near-deterministic relations."""
    z = rng.normal(size=n)
    jobs = np.floor(np.exp(3.5 + 1.65 * z)).astype(int)
    users = 1 + np.floor(np.exp(1.8 + 0.9 * (0.7 * z + 0.71 * rng.normal(size=n)))).astype(int)
    max_users = np.select([users <= 5, users <= 20, users <= 100], [5, 20, 100], 100_000)
    pipelines = np.ceil(jobs * rng.uniform(0.75, 0.95, n)).astype(int)
    return pd.DataFrame(
        {
            "users": users,
            "engines": np.ceil(jobs / 25).astype(int) + rng.poisson(0.5, n),
            "pipelines": pipelines,
            "jobs": jobs,
            "active_jobs": np.floor(jobs * rng.choice([0.5, 0.8, 1.0], n, p=[0.3, 0.5, 0.2])).astype(int),
            "scheduled_tasks": rng.binomial(jobs, 0.12),
            "subscriptions": np.where((jobs > 5) & (rng.random(n) < 0.4), 1 + rng.poisson(2, n), 0),
            "fragments": rng.negative_binomial(2, 2 / (2.1 + pipelines * 0.2)),
            "max_users": max_users,
        }
    )


def lower_tail_dependence(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Return Pareto tails (index 1.1 to 1.5) tied together (Clayton), tasks against subscriptions."""
    frailty = rng.gamma(0.5, size=n)
    u = [(1 + rng.exponential(size=n) / frailty) ** -0.5 for _ in range(3)]
    jobs = np.minimum(np.floor(2 * ((1 - u[0]) ** (-1 / 1.1) - 1)), 20_000).astype(int)
    rival = rng.random(n)
    users = 1 + np.floor(2 * ((1 - u[2]) ** (-1 / 1.5) - 1)).astype(int)
    return pd.DataFrame(
        {
            "users": users,
            "engines": rng.poisson(rng.gamma(0.7, 2, n)),
            "pipelines": np.maximum(np.floor(3 * ((1 - u[1]) ** (-1 / 1.3) - 1)).astype(int), jobs > 0),
            "jobs": jobs,
            "active_jobs": rng.binomial(jobs, rng.beta(0.4, 0.6, n)),
            "scheduled_tasks": np.where(jobs > 0, rng.geometric(0.2 + 0.7 * rival) - 1, 0),
            "subscriptions": np.where(jobs > 0, rng.geometric(0.9 - 0.7 * rival) - 1, 0),
            "groups": rng.poisson(0.3 * np.sqrt(users)),
        }
    )


def lattice(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Return counts that come in packs: seats by five, engines by plan, jobs copied some times."""
    plan = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    copies = rng.choice([1, 2, 5, 10], n, p=[0.4, 0.25, 0.2, 0.15])
    pipelines = 1 + np.floor(rng.exponential([4.0, 12.0, 40.0], (n, 3))[np.arange(n), plan]).astype(int)
    jobs = pipelines * copies
    return pd.DataFrame(
        {
            "users": np.array([5, 25, 100])[plan] - 5 * rng.binomial(np.array([0, 4, 12])[plan], 0.3),
            "engines": np.array([1, 5, 10])[plan] * rng.choice([1, 2], n, p=[0.8, 0.2]),
            "pipelines": pipelines,
            "jobs": jobs,
            "active_jobs": np.where(rng.random(n) < 0.5, jobs, pipelines * (copies // 2)),
            "scheduled_tasks": np.where(rng.random(n) < 0.3, pipelines, 0),
            "groups": 5 * rng.poisson(0.3 + 0.4 * plan),
            "max_users": np.array([5, 25, 100])[plan],
        }
    )


def real_table(name: str) -> Process:
    """Return what takes rows of a real table in random order."""

    def draw(rng: np.random.Generator, n: int) -> pd.DataFrame:
        table = pd.read_csv(paths.STATS / f"{name}.csv.gz")
        return table.iloc[rng.permutation(len(table))[:n]].reset_index(drop=True)

    return draw


PROCESSES: dict[str, Process] = {
    **{one.__name__: one for one in (sample_process, one_size_factor, lower_tail_dependence, lattice)},
    **{name: real_table(name) for name in ("debian_maintainers", "debian_sources", "python_modules")},
}


def sequential_cart(train: pd.DataFrame, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw with the peer to beat: column after column a value of any row in the same leaf of a tree.

    It copies values of training rows, so that it is no way to keep them secret (Nowok, Raab and Dibben 2016).
    """
    first, *others = train.columns
    drawn = pd.DataFrame({first: rng.choice(train[first].to_numpy(), n)})
    for name in others:
        known = list(drawn.columns)
        tree = DecisionTreeRegressor(min_samples_leaf=5, random_state=0).fit(train[known], train[name])
        donors = train[name].groupby(tree.apply(train[known])).apply(lambda values: values.to_numpy())
        drawn[name] = [rng.choice(donors[leaf]) for leaf in tree.apply(drawn[known])]
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--organizations", type=int, default=1000)
    parser.add_argument("--only", choices=PROCESSES)
    arguments = parser.parse_args()
    for name in [arguments.only] if arguments.only else PROCESSES:
        rng = np.random.default_rng(20260101)
        frame = PROCESSES[name](rng, 2 * arguments.organizations)
        n = len(frame) // 2
        train, test = frame.iloc[:n].reset_index(drop=True), frame.iloc[n:].reset_index(drop=True)
        started = time.perf_counter()
        # a model needs these counts; where a table has none they are 0, and not judged
        needed = train.assign(**{count: 0 for count in REQUIRED_COUNTS if count not in train})
        document, _ = fit_metrics(needed, name, default_details())
        model = NoiseModel.from_bytes(format_model(document).encode())
        seconds = time.perf_counter() - started
        summary: Fit = fit_summary(summarize(StatsSet(train.assign(org=""))))
        print(f"{name}: {n} organizations fitted in {seconds:.1f} s")
        show("drawn against held out", model.draw(n, 1).frame()[list(frame)], test)
        show("drawn independently", model.draw(n, 1, independent=True).frame()[list(frame)], test)
        show("real against real", train, test)
        draws = [model.draw(n, seed, independent=True).frame()[list(frame)] for seed in (3, 4)]
        peer = [sequential_cart(train, n, rng) for _ in range(2)]
        half = rng.permutation(n) % 2 == 0
        print(
            f"  cross AUC: drawn {cross_auc(*draws, test):.3f}, sequential CART {cross_auc(*peer, test):.3f},"
            f" real {cross_auc(train[half], train[~half], test):.3f}"
        )
        show("from the summary alone", summary.model.draw(n, 1).frame()[list(frame)], test)
        print(f"  {measure_privacy(model.draw(10 * n, 2).frame()[list(frame)], train, test)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")


def show(what: str, first: pd.DataFrame, second: pd.DataFrame) -> None:
    c = compare(first, second)
    print(
        f"  {what:23} AUC {c.auc:.3f}  KS complement {c.ks_complement:.3f}"
        f"  Spearman difference {c.spearman_difference:.3f}"
    )


if __name__ == "__main__":
    main()
