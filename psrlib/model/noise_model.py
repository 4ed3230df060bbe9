"""The noise model: archetypes of organizations, from a JSON file to drawn organizations."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psrlib.arrays import IntArray, WordArray
from psrlib.errors import InputError
from psrlib.model.archetype import Archetype
from psrlib.model.dependence import WORDS_PER_METRIC
from psrlib.model.metrics import INACTIVE
from psrlib.model.model_file import build_archetypes, read_model
from psrlib.model.sobol import n_keys, spread_evenly
from psrlib.model.table import QuantileTable
from psrlib.words import CONFIG, COUNTS, NOT_SET

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class OrganizationDraws:
    """Drawn organizations as columns: one value per organization, shape (n_organizations,)."""

    archetype: IntArray
    archetype_names: tuple[str, ...]
    counts: dict[str, IntArray]
    config: dict[str, IntArray]

    def frame(self) -> "pd.DataFrame":
        """Return the draws as a table, one row per organization."""
        import pandas as pd  # half of psr create-json would be this import

        names = np.array(self.archetype_names, dtype=object)[self.archetype]
        return pd.DataFrame({"archetype": names, **self.counts, **self.config})


class NoiseModel:
    """A noise model read from a file, ready to draw organizations.

    Attributes
    ----------
    name : str
    sha256 : str
        Digest of the file's bytes.
    archetypes : tuple of Archetype
    metrics : tuple of str
        Counts it draws: the eleven of a stats set, then further ones by name.
    n_words : int
        64-bit words that the draw of one organization consumes.
    assumed : dict of str to str
        Metrics that its stats set did not tell, each with the model it was taken from.
    """

    def __init__(
        self,
        name: str,
        sha256: str,
        archetypes: tuple[Archetype, ...],
        assumed: dict[str, str] | None = None,
    ) -> None:
        self.assumed = assumed or {}
        self.name = name
        self.sha256 = sha256
        self.archetypes = archetypes
        drawn = {metric for archetype in archetypes for metric in archetype.metrics}
        self.metrics = (*COUNTS, *sorted(drawn - {*COUNTS, *CONFIG, INACTIVE}))
        slots = (*CONFIG, *COUNTS, INACTIVE, *self.metrics[len(COUNTS) :])
        self._place = {metric: 1 + WORDS_PER_METRIC * index for index, metric in enumerate(slots)}
        self.n_words = 1 + WORDS_PER_METRIC * len(slots)
        self._choice = QuantileTable(archetypes, [archetype.weight for archetype in archetypes])
        heaviest = sorted(archetypes, key=lambda archetype: -archetype.weight)
        order = dict.fromkeys(metric for archetype in heaviest for metric in archetype.metrics)
        self._deciding = [0, *(self._place[metric] for metric in order)]  # words, in the order of drawing

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
        except OSError as error:
            raise InputError(f"{path}: cannot read the noise model ({error.strerror})") from error
        return cls.from_bytes(content, path.name)

    @classmethod
    def from_bytes(cls, content: bytes, file: str = "noise model") -> "NoiseModel":
        """Check the bytes of a model file; ``file`` is what errors call it."""
        model = read_model(file, content)
        return cls(
            model.name, hashlib.sha256(content).hexdigest(), build_archetypes(file, model), model.assumed
        )

    def draw_organizations(self, words: WordArray) -> OrganizationDraws:
        """Draw organizations from raw random bits of shape (n_organizations, n_words), by integers only."""
        words = np.asarray(words, dtype=np.uint64)
        n = len(words)
        chosen = self._choice.look_up(words[:, 0])
        counts = {metric: np.zeros(n, dtype=np.int64) for metric in self.metrics}
        config = {name: np.full(n, NOT_SET, dtype=np.int64) for name in CONFIG}
        for index, archetype in enumerate(self.archetypes):
            rows = np.flatnonzero(chosen == index)
            for name, values in archetype.draw(words[rows], self._place).items():
                if name in counts:
                    counts[name][rows] = values
                elif name in config:
                    config[name][rows] = values
        names = tuple(archetype.name for archetype in self.archetypes)
        return OrganizationDraws(chosen, names, counts, config)

    @property
    def n_keys(self) -> int:
        """How many 64-bit words ``draw_evenly`` takes for all organizations together."""
        return n_keys(len(self._deciding))

    def draw_evenly(self, words: WordArray, first: int, keys: WordArray) -> OrganizationDraws:
        """Draw neighbouring organizations so that together they show the model (``psrlib.model.sobol``).

        Parameters
        ----------
        words : array of uint64, shape (n_organizations, n_words)
            Raw random bits.
        first : int
            Position of the first organization among all of a random seed.
        keys : array of uint64, shape (n_keys,)
            Raw random bits, the same for all organizations of a random seed.
        """
        return self.draw_organizations(spread_evenly(words, first, self._deciding, keys))

    def draw(self, n_organizations: int, random_seed: int, independent: bool = False) -> OrganizationDraws:
        """Draw organizations by a number, for studies; seed documents bring their own words.

        The bits are those of ``Philox(key=random_seed)``: ``n_keys``, then ``n_words`` per organization. They
        are spread evenly over the model, as those of a seed document are, or ``independent`` of each other.
        """
        bits: Any = np.random.Philox(key=random_seed)
        keys = bits.random_raw(self.n_keys)
        words = bits.random_raw(n_organizations * self.n_words).reshape(n_organizations, self.n_words)
        return self.draw_organizations(words) if independent else self.draw_evenly(words, 0, keys)
