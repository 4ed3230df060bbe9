"""The noise model file: what it must contain, checked field by field (docs/model.md describes them)."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

from psrlib.bounds import in_words
from psrlib.errors import InputError
from psrlib.model import specs, strangers
from psrlib.model.additive import Additive, read_additive
from psrlib.model.archetype import Archetype, Metric
from psrlib.model.dependence import Conditional, Gaussian
from psrlib.model.inside import Inside
from psrlib.model.marginal import Marginal
from psrlib.model.metrics import DETAILS, INACTIVE, drawing_order
from psrlib.model.specs import FORMAT, ArchetypeSpec, ConditionalSpec, DependenceSpec, MarginalSpec, ModelSpec
from psrlib.model.table import QuantileTable
from psrlib.scale import Scale
from psrlib.words import CONFIG, COUNTED, NOT_SET, REQUIRED_COUNTS

_KINDS = {"int": "an integer", "int | float": "a number", "str": "a text", "array": "a list"}
_WRONG = re.compile(r"Expected `(.+?)(?: \| null)?`, got `(.+?)`(?: - at `\$\.?(.+)`)?")
_MISSING = re.compile(r"Object missing required field `(.+?)`")


def read_model(file: str, content: bytes) -> ModelSpec:
    """Return the records of a model file.

    Raises
    ------
    InputError
        Naming file, archetype and field, if it is not JSON or a field is missing or of another type.
    """
    try:
        return msgspec.json.decode(content, type=ModelSpec)
    except msgspec.ValidationError:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:  # ValueError: also text that is not UTF-8
            raise _not_json(file, error) from error
        if isinstance(document, dict) and document.get("format") == FORMAT:
            _name_fault(file, document)
        raise InputError(f'{file}: "format" is not "{FORMAT}"; is this a noise model?') from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(file, error) from error


def _not_json(file: str, error: Exception) -> InputError:
    return InputError(f"{file}: not JSON ({error}); create it again with psr fit")


def _name_fault(file: str, document: dict[str, Any]) -> None:
    """Convert the parts of a document one by one, the smallest first, so that an error names its part."""
    with suppress(AttributeError, KeyError, TypeError):  # what is no object has no parts
        for archetype in document["archetypes"]:
            where = f'{file}: archetype "{archetype["name"]}"'
            for name, spec in {**archetype["metrics"], **archetype.get("limits", {})}.items():
                _convert(f'{where}, metric "{name}"', spec, MarginalSpec | int)
            for name, spec in archetype.get("dependence", {}).get("conditionals", {}).items():
                _convert(f'{where}, dependence of "{name}"', spec, ConditionalSpec)
            _convert(where, archetype, ArchetypeSpec)
        for name, spec in document["details"].items():
            _convert(f"{file}: details, {name}", spec, specs.DetailSpec)
    _convert(file, document, ModelSpec)


def _convert(where: str, value: Any, expected: Any) -> None:
    with _field(where):
        msgspec.convert(value, expected)


@contextmanager
def _field(where: str) -> Iterator[None]:
    """Turn what goes wrong inside into one sentence that names the field."""
    try:
        yield
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_sentence(str(error))}") from error
    except KeyError as error:
        raise InputError(f"{where}: the field {error} is missing") from error
    except (ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{where}: {error}") from error


def _sentence(fault: str) -> str:
    if wrong := _WRONG.match(fault):
        expected, received, place = wrong.groups()
        return f"{place or 'it'} must be {_KINDS.get(expected, expected)}, not {received}"
    missing = _MISSING.match(fault)
    return f"the field '{missing.group(1)}' is missing" if missing else in_words(fault)


def build_archetypes(file: str, model: ModelSpec) -> tuple[Archetype, ...]:
    """Return the archetypes of a model, checked.

    Raises
    ------
    InputError
        Naming file, archetype and field.
    """
    if model.format != FORMAT:
        raise InputError(f'{file}: "format" is not "{FORMAT}"; is this a noise model?')
    if not model.archetypes:
        raise InputError(f'{file}: "archetypes" must be a list with at least one archetype')
    with _field(f"{file}: names"):
        strangers.check_names(model.name, [archetype.name for archetype in model.archetypes])
    shared = _tables(f"{file}: details", model.details)
    archetypes = tuple(_archetype(f'{file}: archetype "{a.name}"', a, shared) for a in model.archetypes)
    with _field(f"{file}: weights of the archetypes"):
        QuantileTable(archetypes, [archetype.weight for archetype in archetypes])
    names = [archetype.name for archetype in archetypes]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f'{file}: two archetypes are named "{name}"; give each its own name')
    return archetypes


def build_inside(file: str, model: ModelSpec) -> Inside:
    """Return what the inside of organizations looks like, checked; InputError naming file and field."""
    with _field(f"{file}: inside"):
        return Inside(model.inside)


def _archetype(where: str, spec: ArchetypeSpec, shared: dict[str, QuantileTable]) -> Archetype:
    metrics = _metrics(where, spec)
    dependence = spec.dependence or DependenceSpec(kind="independent")
    gaussian, forests = _dependence(f"{where}, dependence", dependence, metrics)
    order = drawing_order(set(metrics))
    if dependence.order is not None:
        order = list(dependence.order)
        _check_order(f"{where}, dependence", order, metrics, forests)
    details = {**shared, **_tables(f"{where}, details", spec.details)}
    missing = [name for name in DETAILS if name not in details]
    if missing:
        raise InputError(
            f"{where}: details lack {', '.join(missing)}; copy them from data/models/sample.json"
        )
    ordered = {name: metrics[name] for name in order}
    return Archetype(spec.name, spec.weight, ordered, gaussian, forests, details)


def _tables(where: str, details: specs.Details | None) -> dict[str, QuantileTable]:
    tables = {}
    for name, detail in (details or {}).items():
        with _field(f"{where}, {name}"):
            strangers.check_values(name, detail.values)
            tables[name] = QuantileTable(detail.values, detail.weights)
    return tables


def _metrics(where: str, archetype: ArchetypeSpec) -> dict[str, Metric]:
    metrics, limits = archetype.metrics, archetype.limits or {}
    with _field(where):
        strangers.check_metrics([*metrics, *limits])
    for name in limits:
        if name not in CONFIG:
            raise InputError(f'{where}: unknown limit "{name}"; expected one of {", ".join(CONFIG)}')
    built = {name: _metric(f'{where}, limit "{name}"', name, spec) for name, spec in limits.items()}
    built |= {name: _metric(f'{where}, metric "{name}"', name, spec) for name, spec in metrics.items()}
    missing = [name for name in REQUIRED_COUNTS if name != "jobs" and name not in metrics]
    if missing:
        raise InputError(f"{where}: metrics lack {', '.join(missing)}")
    if ("jobs" in metrics) == (INACTIVE in metrics):
        raise InputError(
            f"{where}: give jobs and active_jobs, or active_jobs and {INACTIVE}; not both, not neither"
        )
    _check_limits(where, built)
    return built


def _check_limits(where: str, metrics: dict[str, Metric]) -> None:
    """Refuse ranges that can exceed the archetype's own limits; what else counts takes the room left."""
    for limit_name, (name, *_) in COUNTED.items():
        limit = metrics.get(limit_name)
        parts = [name] if name in metrics else ["active_jobs", INACTIVE]
        if limit is None or limit.marginal.smallest == NOT_SET or any(metrics[p].scale.base for p in parts):
            continue
        largest = sum(metrics[part].marginal.largest for part in parts)
        if largest > limit.marginal.largest:
            raise InputError(
                f'{where}, metric "{name}": can be {largest}, which exceeds its limit {limit_name} ='
                f" {limit.marginal.largest}; lower the range or raise the limit"
            )


def _metric(where: str, name: str, spec: MarginalSpec | int) -> Metric:
    if isinstance(spec, int):
        spec = MarginalSpec(family="constant", value=spec)
    scale = Scale("share", spec.share_of) if spec.share_of else Scale()
    scale = Scale("difference", spec.more_than) if spec.more_than else scale
    with _field(where):
        marginal = _marginal(spec)
        strangers.check_range(name, marginal, scale)
        return Metric(marginal, scale)


def _marginal(spec: MarginalSpec) -> Marginal:
    if spec.table is not None:
        return Marginal.from_table(spec.table)
    if spec.family == "uniform":
        return Marginal([_given(spec, "low")], [_given(spec, "high")], [1])
    if spec.family == "constant":
        return Marginal([_given(spec, "value")], [_given(spec, "value")], [1])
    if spec.family == "empirical":
        return Marginal(_given(spec, "values"), _given(spec, "values"), _given(spec, "weights"))
    raise ValueError(
        f'the family "{spec.family}" has no "table"; only uniform, constant and empirical are drawn without'
        " one: psr fit writes the tables of the others"
    )


def _given(spec: MarginalSpec | ConditionalSpec | DependenceSpec, field: str) -> Any:
    """Return a field that this family or kind needs."""
    value = getattr(spec, field)
    if value is None:
        raise KeyError(field)
    return value


def _dependence(
    where: str, spec: DependenceSpec, metrics: dict[str, Metric]
) -> tuple[Gaussian | None, dict[str, Conditional | Additive]]:
    if spec.kind not in ("independent", "gaussian", "forest"):
        raise InputError(f'{where}: kind is "{spec.kind}"; expected independent, gaussian or forest')
    unknown = [name for name in (*(spec.metrics or ()), *(spec.conditionals or ())) if name not in metrics]
    if unknown:
        raise InputError(f"{where}: no marginal for {', '.join(unknown)}")
    with _field(where):
        if spec.kind == "gaussian":
            return Gaussian(_given(spec, "metrics"), _given(spec, "correlation")), {}
        conditionals = _given(spec, "conditionals") if spec.kind == "forest" else {}
    forests = {}
    for name, conditional in conditionals.items():
        with _field(f'{where} of "{name}"'):
            forests[name] = _conditional(conditional)
    return None, forests


def _conditional(spec: ConditionalSpec) -> Conditional | Additive:
    forest = None
    if spec.location is None or spec.trees is not None:
        forest = Conditional(_given(spec, "given"), _given(spec, "cells"), _given(spec, "trees"))
        if spec.location is None:
            return forest
    return read_additive(spec.location, forest)


def _check_order(
    where: str, order: list[str], metrics: dict[str, Metric], forests: dict[str, Conditional | Additive]
) -> None:
    """Check that every metric comes after what it depends on."""
    if sorted(order) != sorted(metrics):
        raise InputError(f"{where}: order must list every metric and limit once")
    seen: set[str] = set()
    for name in order:
        scale = metrics[name].scale
        wanted = {scale.base} if scale.base else set()
        wanted |= set(forests[name].given) if name in forests else set()
        late = sorted(wanted - seen)
        if late:
            raise InputError(f'{where}: "{name}" is drawn before {", ".join(late)}; change the order')
        seen |= {name, scale.feature(name)} if scale.base else {name}
