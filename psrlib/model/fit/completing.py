"""What a stats set does not tell, taken from another model: counts that nobody could read.

In production nobody has the organizations' passwords, so that scheduled tasks, for example, stay unknown.
An organization gets its unknown counts from organizations that the other model draws and that are
like it in what is known. What was assumed so is named in model file and report.
"""

import numpy as np
import pandas as pd
from msgspec import structs
from scipy.spatial import KDTree

from psrlib.errors import InputError
from psrlib.model.metrics import NEEDS
from psrlib.model.noise_model import NoiseModel
from psrlib.model.specs import ArchetypeSpec, MarginalSpec
from psrlib.scale import Scale
from psrlib.words import COUNTS

_N_DRAWN = 4000  # organizations of the other model among which the likest are looked for
_N_LIKE = 5  # of them one is taken at random, so that equal organizations do not become one


def complete(frame: pd.DataFrame, other: NoiseModel) -> pd.DataFrame:
    """Return counts and limits of organizations with the counts that they lack taken from another model.

    Organizations are alike by the logarithms of their known counts. Active jobs are taken as a share of
    the jobs; what needs something that an organization lacks is 0.

    Raises
    ------
    InputError
        If the other model has itself assumed what is lacking.
    """
    lacking = [name for name in COUNTS if name not in frame]
    if not lacking:
        return frame
    _check_told(other, lacking)
    known = [name for name in COUNTS if name in frame]
    drawn = other.draw(_N_DRAWN, 0).frame()
    _, like = KDTree(np.log1p(drawn[known].to_numpy())).query(np.log1p(frame[known].to_numpy()), _N_LIKE)
    choice = np.random.default_rng(0).integers(_N_LIKE, size=len(frame))
    donors = drawn.iloc[like[np.arange(len(frame)), choice]].reset_index(drop=True)
    completed = frame.reset_index(drop=True).copy()
    for name in lacking:
        completed[name] = donors[name]
    if "active_jobs" in lacking:
        share = Scale("share", "jobs")
        values = share.value(donors["active_jobs"].to_numpy(), {"jobs": donors["jobs"].to_numpy()})
        jobs = completed["jobs"].to_numpy()
        completed["active_jobs"] = np.minimum(share.count(values, {"jobs": jobs}), jobs)
    for name in lacking:
        if name in NEEDS:
            completed[name] = completed[name].where(completed[NEEDS[name]] > 0, 0)
    return completed[[*COUNTS, *(name for name in frame if name not in COUNTS)]]


def complete_archetype(archetype: ArchetypeSpec, other: NoiseModel) -> tuple[ArchetypeSpec, list[str]]:
    """Return an archetype with the marginals that it lacks from another model, and their names.

    A summary has no rows that could be matched, so the counts are independent of the others but for the
    rules; active jobs are a share of the jobs.
    """
    lacking = [name for name in COUNTS if name not in archetype.metrics]
    if not lacking:
        return archetype, []
    _check_told(other, lacking)
    drawn = other.draw(_N_DRAWN, 0).frame()
    metrics = dict(archetype.metrics)
    for name in lacking:
        counts = drawn[name].to_numpy()
        base = "jobs" if name == "active_jobs" else None
        if base is not None:
            some = drawn[base].to_numpy() > 0
            counts = Scale("share", base).value(counts[some], {base: drawn[base].to_numpy()[some]})
        values, weights = np.unique(counts, return_counts=True)
        metrics[name] = MarginalSpec(
            family="empirical", share_of=base, values=values.tolist(), weights=weights.tolist()
        )
    dependence = archetype.dependence
    if dependence is not None and dependence.order is not None:
        dependence = structs.replace(dependence, order=[*dependence.order, *lacking])
    return structs.replace(archetype, metrics=metrics, dependence=dependence), lacking


def _check_told(other: NoiseModel, lacking: list[str]) -> None:
    """Refuse to assume what was assumed already: nobody would know where it comes from."""
    twice = [name for name in lacking if name in other.assumed]
    if twice:
        raise InputError(
            f'model "{other.name}" has itself assumed {", ".join(twice)} ({other.assumed[twice[0]]}); name a'
            " model with --from that was fitted to them"
        )
