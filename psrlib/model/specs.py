"""The records of a noise model file: what a fit writes and drawing reads (docs/model.md describes them).

Fields stand in the order of the file. What is left out has no entry in the file.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

FORMAT = "psr-model/1"
Numbers = Sequence[int | float]


class TableSpec(Struct, frozen=True, kw_only=True):
    """Ranges ``low..high`` of integers, and the weight of each; without ``high`` each is a single value."""

    low: Sequence[int]
    high: Sequence[int] | None = None
    weight: Numbers


class MarginalSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The distribution of one metric: family, parameters, scale, and the table that is drawn from.

    ``zero_share`` to ``scale`` are parameters of fitted families, for readers only; ``low`` to ``weights``
    are those of the families that are drawn without a table (uniform, constant, empirical).
    """

    family: str
    zero_share: float | None = None
    mean: float | None = None
    size: float | None = None
    mu: float | None = None
    sigma: float | None = None
    index: float | None = None
    scale: float | None = None
    share_of: str | None = None
    more_than: str | None = None
    low: int | None = None
    high: int | None = None
    value: int | None = None
    values: Sequence[int] | None = None
    weights: Numbers | None = None
    table: TableSpec | None = None


class NodeSpec(Struct, frozen=True, omit_defaults=True):
    """A node of a tree: a question about a metric, or a leaf with the weights of some cells."""

    metric: str | None = None
    at_most: int | None = None
    yes: "NodeSpec | None" = None
    no: "NodeSpec | None" = None
    cells: Sequence[int] | None = None
    weights: Numbers | None = None


class TermSpec(Struct, frozen=True):
    """A piecewise linear function: normal score ``score`` (1/4096 standard deviation) at ``at``."""

    at: Sequence[int]
    score: Sequence[int]


class AdditiveSpec(Struct, frozen=True):
    """Terms by metric, and the residual that is added to their sum (1/4096 standard deviation)."""

    terms: dict[str, TermSpec]
    residual: TableSpec


class ConditionalSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a metric depends on those before it: by a forest, or along a curve, its residual by a forest."""

    given: Sequence[str] | None = None
    cells: Sequence[int] | None = None
    trees: Sequence[NodeSpec] | None = None
    location: AdditiveSpec | None = None


class DependenceSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The dependence between the metrics of an archetype: independent, gaussian or forest."""

    kind: str
    metrics: Sequence[str] | None = None
    correlation: Sequence[Numbers] | None = None
    order: Sequence[str] | None = None
    conditionals: dict[str, ConditionalSpec] | None = None


class DetailSpec(Struct, frozen=True):
    """A table of values and their relative frequencies."""

    values: Sequence[Any]
    weights: Numbers


Details = dict[str, DetailSpec]


class ArchetypeSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A kind of organization; a metric or limit that is a number is constant."""

    name: str
    weight: int | float
    metrics: dict[str, MarginalSpec | int]
    limits: dict[str, MarginalSpec | int] | None = None
    dependence: DependenceSpec | None = None
    details: Details | None = None


class ModelSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A noise model file.

    ``assumed`` names the metrics that its stats set did not tell, each with the model it was taken from.
    """

    format: str
    name: str
    description: str | None = None
    assumed: dict[str, str] | None = None
    archetypes: Sequence[ArchetypeSpec]
    details: Details | None = None
