"""The noise model file: what it must contain, checked field by field.

``{"format": "psr-model/1", "name", "archetypes": [{"name", "weight", "metrics", "limits", "dependence"}],
"details"}``; docs/model.md describes every field.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psrlib.errors import InputError
from psrlib.model.archetype import Archetype, Metric
from psrlib.model.dependence import Conditional, Gaussian
from psrlib.model.location import Location, parse_location
from psrlib.model.marginal import Marginal
from psrlib.model.metrics import CONFIG, DETAILS, INACTIVE, LIMIT_OF, NOT_SET, drawing_order
from psrlib.model.table import QuantileTable
from psrlib.model.unit import Unit

FORMAT = "psr-model/1"
REQUIRED = ("users", "engines", "pipelines", "active_jobs", "scheduled_tasks", "subscriptions")


@contextmanager
def _field(where: str) -> Iterator[None]:
    """Turn what goes wrong inside into one sentence that names the field."""
    try:
        yield
    except KeyError as error:
        raise InputError(f"{where}: the field {error} is missing") from error
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise InputError(f"{where}: {error}") from error


def build_archetypes(file: str, document: Any) -> tuple[Archetype, ...]:
    """Check a parsed model file and return its archetypes.

    Raises
    ------
    InputError
        Naming file, archetype and field.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f'{file}: "format" is not "{FORMAT}"; is this a noise model?')
    if not isinstance(document.get("name"), str):
        raise InputError(f'{file}: "name" must be a text')
    specs = document.get("archetypes")
    if not isinstance(specs, list) or not specs:
        raise InputError(f'{file}: "archetypes" must be a list with at least one archetype')
    details = document.get("details", {})
    with _field(f"{file}: details"):
        shared = {name: _table(f"{file}: details, {name}", spec) for name, spec in details.items()}
    archetypes = tuple(_archetype(file, number, spec, shared) for number, spec in enumerate(specs, start=1))
    with _field(f"{file}: weights of the archetypes"):
        QuantileTable(archetypes, [archetype.weight for archetype in archetypes])
    names = [archetype.name for archetype in archetypes]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f'{file}: two archetypes are named "{name}"; give each its own name')
    return archetypes


def _archetype(file: str, number: int, spec: Any, shared: dict[str, QuantileTable]) -> Archetype:
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise InputError(f'{file}: archetype {number} has no "name"')
    where = f'{file}: archetype "{spec["name"]}"'
    with _field(where):
        weight = spec["weight"]
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise ValueError(f"weight must be a number, not {weight!r}")
        metrics = _metrics(where, spec["metrics"], spec.get("limits", {}))
        gaussian, forests = _dependence(where, spec.get("dependence", {"kind": "independent"}), metrics)
        own = {name: _table(f"{where}, details, {name}", t) for name, t in spec.get("details", {}).items()}
    order = drawing_order(set(metrics))
    if spec.get("dependence", {}).get("order"):
        order = _checked_order(where, spec["dependence"]["order"], metrics, forests)
    details = {**shared, **own}
    missing = [name for name in DETAILS if name not in details]
    if missing:
        raise InputError(
            f"{where}: details lack {', '.join(missing)}; copy them from data/models/sample.json"
        )
    ordered = {name: metrics[name] for name in order}
    return Archetype(spec["name"], weight, ordered, gaussian, forests, details)


def _metrics(where: str, metrics: dict[str, Any], limits: dict[str, Any]) -> dict[str, Metric]:
    for name in limits:
        if name not in CONFIG:
            raise InputError(f'{where}: unknown limit "{name}"; expected one of {", ".join(CONFIG)}')
    built = {name: _metric(f'{where}, limit "{name}"', spec) for name, spec in limits.items()}
    built |= {name: _metric(f'{where}, metric "{name}"', spec) for name, spec in metrics.items()}
    missing = [name for name in REQUIRED if name not in metrics]
    if missing:
        raise InputError(f"{where}: metrics lack {', '.join(missing)}")
    if ("jobs" in metrics) == (INACTIVE in metrics):
        raise InputError(
            f"{where}: give jobs and active_jobs, or active_jobs and {INACTIVE}; not both, not neither"
        )
    _check_limits(where, built)
    return built


def _check_limits(where: str, metrics: dict[str, Metric]) -> None:
    """Refuse ranges that can exceed the archetype's own limits."""
    for name, limit_name in LIMIT_OF.items():
        limit = metrics.get(limit_name)
        parts = [name] if name in metrics else ["active_jobs", INACTIVE]
        if limit is None or limit.marginal.smallest == NOT_SET:
            continue
        if any(metrics[part].unit.base for part in parts):
            continue
        largest = sum(metrics[part].marginal.largest for part in parts)
        if largest > limit.marginal.largest:
            raise InputError(
                f'{where}, metric "{name}": can be {largest}, which exceeds its limit {limit_name} ='
                f" {limit.marginal.largest}; lower the range or raise the limit"
            )


def _metric(where: str, spec: Any) -> Metric:
    with _field(where):
        if isinstance(spec, int):
            spec = {"family": "constant", "value": int(spec)}
        unit = Unit()
        for kind, key in (("share", "share_of"), ("difference", "more_than")):
            if key in spec:
                unit = Unit(kind, spec[key])  # type: ignore[arg-type]
        return Metric(_marginal(spec), unit)


def _marginal(spec: dict[str, Any]) -> Marginal:
    family = spec["family"]
    if "table" in spec:
        table = spec["table"]
        low = [_integer(value, "low") for value in table["low"]]
        high = [_integer(value, "high") for value in table.get("high", low)]
        return Marginal(low, high, table["weight"])
    if family == "uniform":
        return Marginal([_integer(spec["low"], "low")], [_integer(spec["high"], "high")], [1])
    if family == "constant":
        value = _integer(spec["value"], "value")
        return Marginal([value], [value], [1])
    if family == "empirical":
        values = [_integer(value, "values") for value in spec["values"]]
        return Marginal(values, values, spec["weights"])
    raise ValueError(
        f'the family "{family}" has no "table"; only uniform, constant and empirical are drawn without one:'
        " psr fit writes the tables of the others"
    )


def _integer(value: Any, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{field} must be an integer, not {value!r}")
    return value


def _dependence(
    where: str, spec: dict[str, Any], metrics: dict[str, Metric]
) -> tuple[Gaussian | None, dict[str, Conditional | Location]]:
    kind = spec["kind"]
    if kind == "independent":
        return None, {}
    if kind == "gaussian":
        unknown = [name for name in spec["metrics"] if name not in metrics]
        if unknown:
            raise InputError(f"{where}, dependence: no marginal for {', '.join(unknown)}")
        with _field(f"{where}, dependence"):
            return Gaussian(spec["metrics"], spec["correlation"]), {}
    if kind == "forest":
        forests: dict[str, Conditional | Location] = {}
        for name, conditional in spec["conditionals"].items():
            if name not in metrics:
                raise InputError(f"{where}, dependence: no marginal for {name}")
            with _field(f'{where}, dependence of "{name}"'):
                forests[name] = _conditional(conditional)
        return None, forests
    raise InputError(f'{where}, dependence: kind is "{kind}"; expected independent, gaussian or forest')


def _conditional(spec: dict[str, Any]) -> Conditional | Location:
    forest = Conditional(spec["given"], spec["cells"], spec["trees"]) if "trees" in spec else None
    if "location" in spec:
        return parse_location(spec["location"], forest)
    return forest or Conditional(spec["given"], spec["cells"], spec["trees"])


def _checked_order(
    where: str, order: list[str], metrics: dict[str, Metric], forests: dict[str, Conditional | Location]
) -> list[str]:
    """Check that every metric comes after what it depends on."""
    if sorted(order) != sorted(metrics):
        raise InputError(f"{where}, dependence: order must list every metric and limit once")
    seen: set[str] = set()
    for name in order:
        unit = metrics[name].unit
        wanted = {unit.base} if unit.base else set()
        wanted |= set(forests[name].given) if name in forests else set()
        late = sorted(wanted - seen)
        if late:
            raise InputError(
                f'{where}, dependence: "{name}" is drawn before {", ".join(late)}; change the order'
            )
        seen |= {name, unit.feature(name)} if unit.base else {name}
    return order


def _table(where: str, spec: Any) -> QuantileTable:
    with _field(where):
        return QuantileTable(spec["values"], spec["weights"])
