"""Fitting a noise model to a stats set, or to a summary alone."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from psrlib import paths
from psrlib.arrays import IntArray
from psrlib.errors import FitError, InputError
from psrlib.files import replace_file
from psrlib.model.fit.archetype import fit_archetype, held_out_likelihood
from psrlib.model.fit.clustering import find_archetypes
from psrlib.model.fit.completing import complete, complete_archetype
from psrlib.model.fit.defaults import default_details
from psrlib.model.fit.goodness import compare, cross_auc, ks_complement, ks_distances, metric_p_values
from psrlib.model.fit.inside import fit_inside, fitted_columns
from psrlib.model.fit.privacy import measure_privacy
from psrlib.model.fit.relational import compare_inside, take
from psrlib.model.fit.summary import fit_tables
from psrlib.model.noise_model import NoiseModel
from psrlib.model.specs import FORMAT, ArchetypeSpec, Details, ModelSpec
from psrlib.stats import StatsSet, find_broken_rules, read_stats, read_summary
from psrlib.stats.check import lift_exceeded_limits
from psrlib.words import CONFIG, COUNTS

_ENOUGH_TO_HALVE = 80  # organizations below which halves say nothing about goodness of fit
_ENOUGH_FOR_PROCESSES = 900  # organizations from which a second process saves more than its start takes
T = TypeVar("T")


@dataclass(frozen=True)
class Fit:
    """A fitted model: the text of its file, the model itself, and the report on how it was fitted."""

    text: str
    model: NoiseModel
    report: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Write the model file, and the report under the same name in the folder ``reports`` beside it."""
        replace_file(Path(path), self.text)
        replace_file(report_path(Path(path)), json.dumps(self.report, indent=1) + "\n")


def report_path(model_path: Path) -> Path:
    """Return where the fit report of a model file is.

    Examples
    --------
    >>> report_path(Path("models/model.json")).as_posix()
    'models/reports/model.json'
    """
    return model_path.parent / "reports" / model_path.name


def fit_directory(
    stats_dir: str | Path,
    name: str = "model",
    n_archetypes: int | None = None,
    evaluate: bool = True,
    other: NoiseModel | None = None,
) -> Fit:
    """Fit a model to a stats set: its rows where ``orgs.csv`` is there, else its ``summary.json``.

    ``stats_dir`` is the folder, or a summary file. With rows, the number of archetypes is chosen unless it is
    given, and ``evaluate`` also measures goodness of fit and privacy on held-out halves. Counts that the set
    does not tell are taken from ``other``, the kit's own model when it is None; model and report name them.

    Raises
    ------
    InputError
        If the stats set is wrong, listing every problem.
    FitError
        If no model can be fitted, saying why.
    """
    path = Path(stats_dir)
    if n_archetypes is not None and n_archetypes < 1:
        raise InputError(f"n_archetypes is {n_archetypes}; expected at least 1")
    summary = path if path.suffix == ".json" else path / "summary.json"
    if path.suffix == ".json" or (summary.exists() and not (path / "orgs.csv").exists()):
        return fit_summary(read_summary(summary), name, other)
    return fit_stats(read_stats(path), name, n_archetypes, evaluate, other)


def fit_stats(
    stats: StatsSet,
    name: str = "model",
    n_archetypes: int | None = None,
    evaluate: bool = True,
    other: NoiseModel | None = None,
) -> Fit:
    """Fit a model to the rows of a stats set; see ``fit_directory``."""
    frame, assumed = _completed(stats.metrics(), other)
    description = (
        f"Fitted to {len(stats.organizations)} organizations ({stats.meta.get('source', 'unknown')})."
    )
    spec, report = fit_metrics(frame, name, default_details(), n_archetypes, description)
    spec = msgspec.structs.replace(spec, inside=fit_inside(stats), assumed=assumed or None)
    fit = _finish(spec, report)
    report["source"] = {"organizations": len(stats.organizations), **stats.meta}
    report["broken_rules"] = find_broken_rules(stats.organizations)
    report["inside"] = fitted_columns(spec.inside)
    report["assumed"] = assumed
    report["left_out"] = stats.notes
    if evaluate and len(stats.organizations) >= _ENOUGH_TO_HALVE:
        report["goodness"] = evaluate_halves(stats, n_archetypes, other)
        report["p_values"] = metric_p_values(fit.model, stats.metrics())
    return fit


def fit_metrics(
    frame: pd.DataFrame,
    name: str,
    details: Details,
    n_archetypes: int | None = None,
    description: str = "",
) -> tuple[ModelSpec, dict[str, Any]]:
    """Fit archetypes, marginals and dependence to a table of counts and limits; also return the report."""
    if len(frame) < 2:
        raise FitError(f"{len(frame)} organization: a population needs at least 2")
    frame = lift_exceeded_limits(frame)
    counts = [str(column) for column in frame if column not in CONFIG]

    def likelihoods(labels: list[IntArray]) -> list[float]:
        given = [(frame, label) for label in labels]
        return _side_by_side("numbers of archetypes", held_out_likelihood, given, len(frame))

    # threads would wait for each other, busily, for longer than the work on so few rows takes
    with threadpool_limits(1):
        clustering = find_archetypes(frame[counts], n_archetypes, likelihoods=likelihoods)
        members = [
            (kind, frame[clustering.label == index].reset_index(drop=True))
            for index, kind in enumerate(clustering.names)
        ]
        fits = _side_by_side("archetypes", _fit_named, members, len(frame))
    chosen = {archetype.name: report for archetype, report in fits}
    model = _model(name, description, [archetype for archetype, _ in fits], details)
    return model, {"archetypes": clustering.choice, "metrics": chosen}


def _model(name: str, description: str, archetypes: list[ArchetypeSpec], details: Details) -> ModelSpec:
    return ModelSpec(
        format=FORMAT, name=name, description=description, archetypes=archetypes, details=details
    )


def _fit_named(archetype: str, members: pd.DataFrame) -> tuple[ArchetypeSpec, dict[str, Any]]:
    try:
        return fit_archetype(archetype, members)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise FitError(f'archetype "{archetype}" ({len(members)} organizations): {error}') from error


def _side_by_side(
    what: str, work: Callable[..., T], arguments: list[tuple[Any, ...]], n_organizations: int
) -> list[T]:
    """Return the result for each tuple of arguments; in several processes where that is worth their start."""
    n_processes = min(len(arguments), os.cpu_count() or 1) if n_organizations >= _ENOUGH_FOR_PROCESSES else 1
    results = Parallel(n_jobs=n_processes, return_as="generator")(delayed(work)(*a) for a in arguments)
    return list(tqdm(results, what, total=len(arguments), disable=None))


def _completed(frame: pd.DataFrame, other: NoiseModel | None) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return counts and limits with what they lack, and of which model each count was taken."""
    lacking = [name for name in COUNTS if name not in frame]
    if not lacking:
        return frame, {}
    other = other or NoiseModel.load(paths.MODEL)
    return complete(frame, other), dict.fromkeys(lacking, other.name)


def fit_summary(summary: dict[str, Any], name: str = "model", other: NoiseModel | None = None) -> Fit:
    """Fit a model from a summary alone: its histograms and trees as they are; see ``fit_directory``."""
    n = summary["organizations"]
    description = f"Fitted from a summary alone: histograms and trees of {n} organizations."
    other = other or NoiseModel.load(paths.MODEL)
    archetype, lacking = complete_archetype(fit_tables(summary), other)
    assumed = dict.fromkeys(lacking, other.name)
    spec = _model(name, description, [archetype], default_details())
    source = {"summary": True, "format": summary["format"], "archetypes": 1}
    spec = msgspec.structs.replace(spec, assumed=assumed or None)
    return _finish(spec, {"source": source, "assumed": assumed})


def evaluate_halves(
    stats: StatsSet, n_archetypes: int | None = None, other: NoiseModel | None = None
) -> dict[str, Any]:
    """Fit to one half, draw, and compare with the other half, beside real against real and row copies.

    ``drawn`` are as many organizations as the held-out half has, spread evenly over the model as in a seed
    document, and once more independent of each other, as the held-out ones are. Even ones are closer to the
    model than chance allows, which lowers a cross-validated AUC without meaning; ``cross_auc`` cannot
    be misled so. Kolmogorov-Smirnov figures for ten times as many are given too, because two samples of 1,000
    differ by 0.03 even when nothing is wrong. ``inside`` compares details (``psrlib.model.fit.relational``).
    Counts that were taken from another model are not judged.
    """
    half = np.random.default_rng(0).permutation(len(stats.organizations)) % 2 == 0
    training, held_out = take(stats, half), take(stats, ~half)
    train, test = training.metrics(), held_out.metrics()
    completed, _ = _completed(train, other)
    spec, _ = fit_metrics(completed, "half", default_details(), n_archetypes)
    model = _finish(msgspec.structs.replace(spec, inside=fit_inside(training)), {}).model
    judged = list(train.columns)
    drawn = model.draw(len(test), 1).frame()[judged]
    many = model.draw(10 * len(test), 2).frame()[judged]
    independent = model.draw(len(test), 1, independent=True).frame()[judged]
    others = [model.draw(len(test), 3 + number, independent=True).frame()[judged] for number in range(2)]
    mixed = np.random.default_rng(1).permutation(len(train)) % 2 == 0
    figures = {
        "drawn_against_held_out": asdict(compare(drawn, test)),
        "drawn_independently": asdict(compare(independent, test)),
        "real_against_real": asdict(compare(train, test)),
        "many_drawn_ks_complement": round(ks_complement(ks_distances(many, test)), 4),
        "cross_auc": {
            "drawn_against_held_out": round(cross_auc(others[0], others[1], test), 4),
            "real_against_real": round(cross_auc(train[mixed], train[~mixed], test), 4),
        },
        "privacy": asdict(measure_privacy(many, train, test)),
    }
    return figures | ({"inside": compare_inside(model, training, held_out)} if stats.details else {})


def _finish(spec: ModelSpec, report: dict[str, Any]) -> Fit:
    text = format_model(spec)
    return Fit(text, NoiseModel.from_bytes(text.encode(), spec.name), report)


def format_model(spec: ModelSpec) -> str:
    """Return a model file as text: a line per marginal, table, tree and matrix row."""
    return _format(msgspec.to_builtins(spec), 0) + "\n"


def _format(value: Any, depth: int) -> str:
    pad, end = " " * (depth + 1), " " * depth
    nested = isinstance(value, dict) and any(isinstance(item, dict | list) for item in value.values())
    if nested and not {"family", "given", "at_most", "values"} & set(value):
        lines = [f"{pad}{json.dumps(key)}: {_format(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{end}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict) and depth < 3:
        lines = [f"{pad}{_format(item, depth + 1)}" for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{end}]"
    return json.dumps(value, ensure_ascii=False)
