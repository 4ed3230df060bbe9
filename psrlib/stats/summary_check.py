"""Reading a summary: every field is checked, and one sentence names file, metric and field."""

from pathlib import Path
from typing import Any

import numpy as np

from psrlib.errors import InputError
from psrlib.scale import KEYS
from psrlib.stats.reading import read_json
from psrlib.stats.summary import SUMMARY_FORMAT
from psrlib.words import CONFIG, NEEDED_COUNTS, NOT_SET


def read_summary(path: str | Path) -> dict[str, Any]:
    """Read and check ``summary.json``.

    Raises
    ------
    InputError
        Naming the metric and the field that is missing or wrong, what was expected and what was received.
    """
    path = Path(path)
    summary = read_json(path)
    if summary.get("format") != SUMMARY_FORMAT:
        raise InputError(
            f'{path}: "format" is {summary.get("format")!r}; expected "{SUMMARY_FORMAT}": summarize again'
        )
    metrics = summary.get("metrics")
    if not isinstance(metrics, list) or len(set(map(str, metrics))) != len(metrics):
        raise InputError(f'{path}: "metrics" must list the name of each metric once, received {metrics!r}')
    missing = [name for name in NEEDED_COUNTS if name not in metrics]
    if missing:
        raise InputError(f"{path}: metrics lack {', '.join(missing)}")
    _check_tables(path, summary, metrics)
    return summary


def _check_tables(path: Path, summary: dict[str, Any], metrics: list[str]) -> None:
    if not _is_count(summary.get("organizations"), 1):
        raise InputError(
            f'{path}: "organizations" must be a positive integer, received {summary.get("organizations")!r}'
        )
    for part in ("marginals", "conditionals"):
        if not isinstance(summary.get(part), dict):
            raise InputError(f'{path}: "{part}" must be an object with an entry per metric')
        unknown = [name for name in summary[part] if name not in metrics]
        if unknown:
            raise InputError(f"{path}: {part} of {', '.join(unknown)}, which the metrics lack")
    known: list[str] = []
    for name in metrics:
        marginal, conditional = summary["marginals"].get(name), summary["conditionals"].get(name)
        where = f'{path}: marginal of "{name}"'
        kind = _check_marginal(where, name, marginal, known)
        if conditional is not None:
            _check_conditional(f'{path}: conditional of "{name}"', conditional, known)
        known += [name] if kind == "count" else [name, f"{name}:{kind}"]


def _check_marginal(where: str, name: str, marginal: Any, known: list[str]) -> str:
    """Check a histogram and return its scale: count, share or difference."""
    if not isinstance(marginal, dict):
        raise InputError(f"{where}: missing; expected low, high and organizations")
    kinds = [kind for kind, key in KEYS.items() if key in marginal]
    if len(kinds) > 1 or (kinds and name in CONFIG):
        raise InputError(f"{where}: a limit is a count, any other metric has share_of or more_than, not both")
    kind = kinds[0] if kinds else "count"
    if kinds and (marginal[KEYS[kind]] not in known or marginal[KEYS[kind]] in CONFIG):
        raise InputError(
            f"{where}: {KEYS[kind]} is {marginal[KEYS[kind]]!r}; expected a count listed before it in metrics"
        )
    low, high, organizations = (_integers(where, marginal, key) for key in ("low", "high", "organizations"))
    if not len(low) == len(high) == len(organizations) > 0:
        raise InputError(
            f"{where}: {len(low)} low, {len(high)} high and {len(organizations)} organizations;"
            " expected equally many, at least one"
        )
    smallest = {"count": NOT_SET if name in CONFIG else 0, "share": 0}.get(kind)
    if smallest is not None and low[0] < smallest:
        raise InputError(f"{where}: low begins with {low[0]}; expected at least {smallest}")
    ends = [value for pair in zip(low, high, strict=True) for value in pair]
    if sorted(ends) != ends or any(first == last for first, last in zip(high[:-1], low[1:], strict=True)):
        raise InputError(f"{where}: the ranges low..high must ascend without overlap")
    if min(organizations) < 1:
        raise InputError(f"{where}: organizations must be positive, received {min(organizations)}")
    return kind


def _check_conditional(where: str, conditional: Any, known: list[str]) -> None:
    if not isinstance(conditional, dict) or not isinstance(conditional.get("given"), list):
        raise InputError(f"{where}: expected given, cells and tree")
    late = [str(name) for name in conditional["given"] if name not in known]
    if late or not conditional["given"]:
        raise InputError(
            f"{where}: given has {', '.join(late) or 'nothing'}; expected metrics listed before it"
        )
    cells = _integers(where, conditional, "cells")
    if len(cells) < 1 or (np.diff(cells) <= 0).any():
        raise InputError(f"{where}: cells must be at least one first value, ascending")
    _check_node(f"{where}, tree", conditional.get("tree"), conditional["given"], len(cells))


def _check_node(where: str, node: Any, given: list[str], n_cells: int) -> None:
    if not isinstance(node, dict):
        raise InputError(
            f"{where}: expected a node (metric, at_most, yes, no) or a leaf (cells, organizations)"
        )
    if "at_most" in node:
        if node.get("metric") not in given:
            raise InputError(f'{where}: a node asks for {node.get("metric")!r}, which is not among "given"')
        if not _is_count(node["at_most"], None):
            raise InputError(f"{where}: at_most must be an integer, received {node['at_most']!r}")
        for branch in ("yes", "no"):
            _check_node(where, node.get(branch), given, n_cells)
        return
    cells, organizations = (_integers(f"{where}, leaf", node, key) for key in ("cells", "organizations"))
    if len(cells) != len(organizations) or not cells or cells[0] != 0:
        raise InputError(f"{where}, leaf: cells begin with 0 and have one number of organizations each")
    if (np.diff(cells) <= 0).any() or cells[-1] >= n_cells:
        raise InputError(f"{where}, leaf: cells must ascend below {n_cells}, received {cells}")
    if min(organizations) < 0 or sum(organizations) < 1:
        raise InputError(f"{where}, leaf: organizations must not be negative, and not all zero")


def _integers(where: str, entry: dict[str, Any], field: str) -> list[int]:
    values = entry.get(field)
    if not isinstance(values, list) or not all(_is_count(value, None) for value in values):
        raise InputError(f'{where}: "{field}" must be a list of integers, received {values!r}')
    return values


def _is_count(value: Any, smallest: int | None) -> bool:
    integer = isinstance(value, int) and not isinstance(value, bool)
    return integer and (smallest is None or value >= smallest)
