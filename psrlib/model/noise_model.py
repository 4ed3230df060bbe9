"""The noise model: archetypes of organizations, from a JSON file to drawn organizations."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psrlib.errors import InputError
from psrlib.model.metrics import CONFIG, COUNTS, DETAILS, LIMIT_OF, NOT_SET
from psrlib.model.table import IntArray, QuantileTable, WordArray

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "psr-model/1"


@dataclass(frozen=True)
class OrganizationDraws:
    """Drawn organizations as columns: one value per organization, shape (n_organizations,)."""

    archetype: IntArray
    archetype_names: tuple[str, ...]
    counts: dict[str, IntArray]
    config: dict[str, IntArray]

    def frame(self) -> "pd.DataFrame":
        """Return the draws as a table, one row per organization."""
        import pandas as pd  # half of psr create-json's time if imported with the module

        names = np.array(self.archetype_names, dtype=object)[self.archetype]
        return pd.DataFrame({"archetype": names, **self.counts, **self.config})


@dataclass(frozen=True)
class Archetype:
    """One weighted kind of organization with the tables that drawing needs."""

    name: str
    weight: float
    metrics: dict[str, QuantileTable]
    limits: dict[str, int]
    details: dict[str, QuantileTable]


class NoiseModel:
    """A noise model read from a file, ready to draw organizations.

    Attributes
    ----------
    name : str
    sha256 : str
        Digest of the file's bytes.
    archetypes : tuple of Archetype
    n_words : int
        64-bit words that the draw of one organization consumes.
    """

    def __init__(self, name: str, sha256: str, archetypes: tuple[Archetype, ...]) -> None:
        self.name = name
        self.sha256 = sha256
        self.archetypes = archetypes
        known = [*COUNTS, "inactive_jobs"]
        extra = {metric for archetype in archetypes for metric in archetype.metrics} - set(known)
        self.metrics = (*known, *sorted(extra))
        self.n_words = 1 + len(self.metrics) + len(CONFIG)
        self._choice = QuantileTable(archetypes, [archetype.weight for archetype in archetypes])

    @classmethod
    def load(cls, path: str | Path) -> "NoiseModel":
        """Read and check a model file.

        Raises
        ------
        InputError
            Naming file, archetype and field, if the file is missing or wrong, also when the ranges of an
            archetype can exceed its own limits.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
            document = json.loads(content)
        except OSError as error:
            raise InputError(f"{path}: cannot read the noise model ({error.strerror})") from error
        except ValueError as error:
            raise InputError(f"{path}: not JSON ({error})") from error
        return _build(path.name, document, hashlib.sha256(content).hexdigest())

    def details(self, archetype: int) -> dict[str, QuantileTable]:
        """Return the detail tables of an archetype by name (``psrlib.model.metrics.DETAILS``)."""
        return self.archetypes[archetype].details

    def draw_organizations(self, words: WordArray) -> OrganizationDraws:
        """Draw organizations from raw random bits, by integer arithmetic only.

        Parameters
        ----------
        words : array of uint64, shape (n_organizations, n_words)

        Returns
        -------
        OrganizationDraws
        """
        words = np.asarray(words, dtype=np.uint64)
        n = len(words)
        chosen = self._choice.look_up(words[:, 0])
        raw = {metric: np.zeros(n, dtype=np.int64) for metric in self.metrics}
        config = {name: np.full(n, NOT_SET, dtype=np.int64) for name in CONFIG}
        for index, archetype in enumerate(self.archetypes):
            rows = np.flatnonzero(chosen == index)
            for position, metric in enumerate(self.metrics, start=1):
                if metric in archetype.metrics:
                    raw[metric][rows] = archetype.metrics[metric].draw(words[rows, position])
            for name, value in archetype.limits.items():
                config[name][rows] = value
            if "inactive_jobs" in archetype.metrics:
                raw["jobs"][rows] = raw["active_jobs"][rows] + raw["inactive_jobs"][rows]
        del raw["inactive_jobs"]
        names = tuple(archetype.name for archetype in self.archetypes)
        return OrganizationDraws(chosen, names, raw, config)


def _build(file: str, document: Any, sha256: str) -> NoiseModel:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f'{file}: "format" is not "{FORMAT}"; is this a noise model?')
    try:
        shared = {name: QuantileTable(**spec) for name, spec in document["details"].items()}
        archetypes = tuple(_build_archetype(file, spec, shared) for spec in document["archetypes"])
        return NoiseModel(document["name"], sha256, archetypes)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: {error}") from error


def _build_archetype(file: str, spec: dict[str, Any], shared: dict[str, QuantileTable]) -> Archetype:
    metrics = {}
    for metric, marginal in spec["metrics"].items():
        values = list(range(int(marginal["low"]), int(marginal["high"]) + 1))
        metrics[metric] = QuantileTable(values, [1] * len(values))
        limit = spec["limits"].get(LIMIT_OF.get(metric, ""))
        if limit is not None and values[-1] > limit:
            raise InputError(
                f'{file}: archetype "{spec["name"]}", metric "{metric}": can be {values[-1]}, which exceeds'
                f" its limit {LIMIT_OF[metric]} = {limit}; lower the range or raise the limit"
            )
    limits = {name: int(value) for name, value in spec["limits"].items()}
    details = {**shared, **{name: QuantileTable(**t) for name, t in spec.get("details", {}).items()}}
    missing = [name for name in DETAILS if name not in details]
    if missing:
        raise InputError(f"{file}: details lack {', '.join(missing)}")
    return Archetype(spec["name"], spec["weight"], metrics, limits, details)
