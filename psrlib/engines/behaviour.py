"""How engines behave, as data: a table of transitions with delay, jitter and weight.

A row says: a pipeline (or engine) in state ``state`` that matches the patterns goes to ``next`` after
``delay_ms`` plus an even draw from 0 to ``jitter_ms``. Several matching rows compete by weight; no matching
row means the state lasts. Only the rows decide: a slow start, a start error, an engine that crashes every
hour are rows, not code.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from psrlib.engines.statuses import ALLOWED
from psrlib.errors import InputError

ENGINE_STATES: dict[str, frozenset[str]] = {
    "UP": frozenset({"DOWN", "SILENT"}),  # DOWN: the process is gone; SILENT: it runs, its network does not
    "DOWN": frozenset({"UP"}),
    "SILENT": frozenset({"UP", "DOWN"}),
}
_MASK = (1 << 64) - 1


class Transition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the table; times in milliseconds, patterns as in ``fnmatch``."""

    state: str
    next: str
    delay_ms: int = 0
    jitter_ms: int = 0
    weight: int = 1
    subject: Literal["pipeline", "engine"] = "pipeline"
    organization: str = "*"
    engine: str = "*"
    pipeline: str = "*"
    message: str | None = None

    def matches(self, organization: str, engine: str, pipeline: str) -> bool:
        """Whether the patterns fit an organization id, an engine key and a pipeline title."""
        patterns = (self.organization, self.engine, self.pipeline)
        return all(map(fnmatchcase, (organization, engine, pipeline), patterns))


# A healthy, quiet ghost town: everything starts, runs on and stops when told to. Delays are of the order of
# a small real engine's; nothing depends on their exact size.
GHOST_TOWN = (
    Transition("STARTING", "RUNNING", delay_ms=400, jitter_ms=1200),
    Transition("STARTING_ERROR", "START_ERROR", delay_ms=100, jitter_ms=200),
    Transition("RUNNING_ERROR", "RUN_ERROR", delay_ms=100, jitter_ms=200),
    Transition("RETRY", "STARTING", delay_ms=15_000),  # the first wait; each later one is twice as long
    Transition("FINISHING", "FINISHED", delay_ms=200, jitter_ms=300),
    Transition("STOPPING", "STOPPED", delay_ms=300, jitter_ms=700, message="The pipeline was stopped. "),
    Transition("STOPPING_ERROR", "STOP_ERROR", delay_ms=100, jitter_ms=200),
    Transition("DISCONNECTED", "STARTING", delay_ms=200, jitter_ms=800),
    Transition("CONNECTING", "STARTING", delay_ms=100, jitter_ms=200),
    Transition("DOWN", "UP", delay_ms=10_000, jitter_ms=5_000, subject="engine"),
    Transition("SILENT", "UP", delay_ms=60_000, subject="engine"),
)


class Behaviour:
    """A checked table of transitions.

    Parameters
    ----------
    rows : iterable of Transition
        More specific rows do not override general ones: all that match compete by weight.

    Raises
    ------
    InputError
        When a row is not a change that Data Collector can make, or has a negative number.
    """

    def __init__(self, rows: Iterable[Transition] = GHOST_TOWN) -> None:
        self.rows = tuple(rows)
        self._by_state: dict[tuple[str, str], list[Transition]] = {}
        for number, row in enumerate(self.rows, start=1):
            _check(number, row)
            self._by_state.setdefault((row.subject, row.state), []).append(row)

    def choose(
        self, subject: str, state: str, organization: str, engine: str, pipeline: str, draw: "Draws"
    ) -> tuple[Transition, int] | None:
        """Return the row that applies and its delay in milliseconds, or None when the state lasts."""
        rows = self._by_state.get((subject, state), ())
        rows = [row for row in rows if row.matches(organization, engine, pipeline)]
        if not rows:
            return None
        row = rows[0]
        if len(rows) > 1:
            place = draw.below(sum(row.weight for row in rows))
            for row in rows:
                place -= row.weight
                if place < 0:
                    break
        return row, row.delay_ms + (draw.below(row.jitter_ms + 1) if row.jitter_ms else 0)


class Draws:
    """A stream of random integers in one machine word (SplitMix64, Steele and others 2014).

    ``random.Random`` would cost 2.5 KB for each of thousands of engines.
    """

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def below(self, limit: int) -> int:
        """Return an integer from 0 to ``limit - 1``."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        word = self._state
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((word ^ (word >> 31)) * limit) >> 64


def load_behaviour(path: str | Path | None) -> Behaviour:
    """Read a table: a JSON list of rows, put in place of the default rows of the same subject and state.

    Raises
    ------
    InputError
        Naming the file and the row that is wrong.
    """
    if path is None:
        return Behaviour()
    try:
        rows = msgspec.json.decode(Path(path).read_bytes(), type=list[Transition])
        replaced = {(row.subject, row.state) for row in rows}
        kept = [row for row in GHOST_TOWN if (row.subject, row.state) not in replaced]
        return Behaviour([*kept, *rows])
    except FileNotFoundError:
        raise InputError(f"{path}: no such behaviour table") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: expected a list of transitions, {error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _check(number: int, row: Transition) -> None:
    allowed = (ALLOWED if row.subject == "pipeline" else ENGINE_STATES).get(row.state)
    if allowed is None:
        raise InputError(f"transition {number}: no {row.subject} state {row.state!r} that can be left")
    if row.next not in allowed:
        raise InputError(
            f"transition {number}: {row.subject} state {row.state} goes to {', '.join(sorted(allowed))}, "
            f"not to {row.next!r}"
        )
    if row.delay_ms < 0 or row.jitter_ms < 0 or row.weight < 1:
        raise InputError(f"transition {number}: delay and jitter must be at least 0 and weight at least 1")
