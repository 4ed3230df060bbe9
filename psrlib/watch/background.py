"""A recording as a background: levels over time, outages, restarts of engines, answer times, cost."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from psrlib.arrays import FloatArray
from psrlib.watch.recording import COUNT_JOBS, LIST_ENGINES, Engine, Line, Sample, Start, read_lines

GRID = 600  # points in time at which levels are looked at
SHORTEST_OUTAGE_S = 1.0  # a repeated call that took less met a connection that had just been closed


@dataclass(frozen=True)
class Outage:
    """A time without answers, in seconds since the begin of the recording, and what was seen of it.

    It begins midway between the last answer and the first failure and ends likewise, or with the answer to a
    repeated call, so that its length is known to the time between two calls.
    """

    begin_s: float
    end_s: float
    reason: str

    @property
    def duration_s(self) -> float:
        """How long it lasted."""
        return self.end_s - self.begin_s


ENGINE_TOTALS = ("engines", "responding", "pipelines")


class State:
    """What is known of all organizations: the latest jobs and engines of each, and their sums."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[str, int]] = {}
        self._engines: dict[str, dict[str, Engine]] = {}
        self._totals: Counter[str] = Counter(dict.fromkeys(ENGINE_TOTALS, 0))

    def take(self, sample: Sample) -> int:
        """Note what a sample tells; return how many engines were started again since they were last seen."""
        n_restarts = 0
        if sample.jobs is not None:
            self._totals.subtract(self._jobs.get(sample.organization, {}))
            self._totals.update(sample.jobs)
            self._jobs[sample.organization] = sample.jobs
        if sample.engines is not None:
            known = self._engines.get(sample.organization, {})
            n_restarts = sum(
                0 < known[id].started_at_ms < engine.started_at_ms
                for id, engine in sample.engines.items()
                if id in known
            )
            self._totals.subtract(_sums(known))
            self._totals.update(_sums(sample.engines))
            self._engines[sample.organization] = sample.engines
        return n_restarts

    def n_seen(self) -> int:
        """Organizations of which jobs and engines are known."""
        return len(self._jobs.keys() & self._engines.keys())

    def totals(self) -> dict[str, int]:
        """Return jobs by status, and the `ENGINE_TOTALS` of all engines."""
        return {name: n for name, n in self._totals.items() if n or name in ENGINE_TOTALS}


def _sums(engines: dict[str, Engine]) -> dict[str, int]:
    found = engines.values()
    return {
        "engines": len(found),
        "responding": sum(engine.responding for engine in found),
        "pipelines": sum(engine.pipelines for engine in found),
    }


@dataclass
class Background:
    """What a recording tells; times are seconds since its first line.

    Attributes
    ----------
    starts : list of Start
        The times that the recording was begun or gone on with.
    answers : DataFrame
        t, call, organization, answer_s: of calls that took one request.
    outages : list of Outage
    restarts : list of float
        When an engine was first seen to have been started again, one entry an engine.
    n_rounds : float
        How often every organization was looked at, on average.
    n_samples : int
        Calls made.
    cost : dict of str to float
        calls (requests), bytes, hub_s (seconds waited for answers).
    refused : list of str
        What the hub said when it refused a call.
    tells_starts : bool
        Whether the hub tells when engines were started.
    spacing_s : float
        Seconds from one call to the next, median.
    """

    name: str
    starts: list[Start]
    answers: pd.DataFrame
    outages: list[Outage]
    restarts: list[float]
    n_rounds: float
    n_samples: int
    cost: dict[str, float]
    refused: list[str]
    tells_starts: bool
    spacing_s: float
    _spans: list[tuple[float, float]]
    _changes: list[tuple[float, dict[str, int] | None]]

    @property
    def start(self) -> Start:
        """The first start."""
        return self.starts[0]

    @property
    def watched_s(self) -> float:
        """Seconds watched, without the time between an end and going on."""
        return sum(end - begin for begin, end in self._spans)

    @property
    def end_s(self) -> float:
        """When the last call was made."""
        return self._spans[-1][1]

    @property
    def outage_s(self) -> float:
        """Seconds without answers."""
        return sum(outage.duration_s for outage in self.outages)

    @cached_property
    def levels(self) -> pd.DataFrame:
        """Jobs by status, engines, responding, pipelines at evenly spaced times (index ``t``).

        NaN before every organization was seen, while the hub was away and while nobody watched.
        """
        t = np.linspace(0, self.end_s, GRID)
        times, totals = zip(*self._changes, strict=True)
        names = list(dict.fromkeys([*ENGINE_TOTALS, *(name for found in totals for name in found or ())]))
        table = np.array(
            [[np.nan if found is None else found.get(name, 0) for name in names] for found in totals]
        )
        place = np.searchsorted(times, t, side="right") - 1
        away = [(outage.begin_s, outage.end_s) for outage in self.outages]
        values = table[np.maximum(place, 0)].astype(float)
        values[_inside(t, away) | ~_inside(t, self._spans) | (place < 0)] = np.nan
        return pd.DataFrame(values, pd.Index(t, name="t"), names)

    @property
    def statuses(self) -> list[str]:
        """Statuses of jobs that were seen."""
        return sorted(str(column) for column in self.levels if column not in ENGINE_TOTALS)

    def level(self, name: str) -> "pd.Series[float]":
        """Return a column of ``levels``; 0 where it lacks, for then there was none at any time."""
        if name in self.levels:
            return self.levels[name]
        return self.levels["engines"] * 0.0

    @property
    def responding(self) -> "pd.Series[float]":
        """Engines that respond over time, in percent; 100 where there are none."""
        engines = self.level("engines")
        return (100 * self.level("responding") / engines.where(engines != 0)).mask(engines == 0, 100.0)

    def facts(self) -> dict[str, Any]:
        """Return what was watched, for how long, what happened and what it cost, as plain values."""
        return {
            "name": self.name,
            "hub": self.start.hub,
            "hub_version": self.start.hub_version,
            "started_at": datetime.fromtimestamp(self.start.at, UTC).isoformat(timespec="seconds"),
            "watched_s": round(self.watched_s, 3),
            "organizations": len(self.start.organizations),
            "seed_sha256": self.start.seed_sha256,
            "rounds": round(self.n_rounds, 2),
            "outages": [asdict(outage) for outage in self.outages],
            "engine_restarts_s": self.restarts,
            "refused": self.refused,
            "cost": self.cost,
        }

    @cached_property
    def n_jobs(self) -> "pd.Series[float]":
        """All jobs over time, whatever their status."""
        return self.levels[self.statuses].sum(axis=1, min_count=1)


def _inside(t: FloatArray, spans: Iterable[tuple[float, float]]) -> np.ndarray:
    inside = np.zeros(len(t), dtype=bool)
    for begin, end in spans:
        inside |= (begin <= t) & (t <= end)
    return inside


def load_background(path: Path) -> Background:
    """Read a recording; errors are those of `read_lines`."""
    return background_of(list(read_lines(path)), path.stem)


def background_of(lines: Sequence[Line], name: str) -> Background:
    """Return what the lines of a recording tell, the first of which is a `Start`."""
    zero = lines[0].at
    segments: list[tuple[Start, list[Sample]]] = []
    for line in lines:
        if isinstance(line, Start):
            segments.append((line, []))
        else:
            segments[-1][1].append(line)
    samples = [sample for _, found in segments for sample in found]
    changes: list[tuple[float, dict[str, int] | None]] = []
    restarts: list[float] = []
    for start, found in segments:
        state = State()
        changes.append((start.at - zero, None))
        for sample in found:
            restarts += [sample.at - zero] * state.take(sample)
            is_news = sample.jobs is not None or sample.engines is not None
            if is_news and state.n_seen() == len(start.organizations):
                changes.append((sample.at - zero, state.totals()))
    looks = sum(sample.call in (COUNT_JOBS, LIST_ENGINES) and not sample.outage for sample in samples)
    engines = [engine for sample in samples for engine in (sample.engines or {}).values()]
    rows = [
        (sample.at - zero, sample.call, sample.organization, sample.answer_s)
        for sample in samples
        if sample.answer_s
    ]
    times = np.array([sample.at for sample in samples])
    return Background(
        name=name,
        starts=[start for start, _ in segments],
        answers=pd.DataFrame(rows, columns=["t", "call", "organization", "answer_s"]),
        outages=[outage for _, found in segments for outage in _outages(found, zero)],
        restarts=restarts,
        n_rounds=looks / max(2 * len(segments[0][0].organizations), 1),
        n_samples=len(samples),
        cost={
            "calls": sum(sample.requests for sample in samples),
            "bytes": sum(sample.bytes for sample in samples),
            "hub_s": sum(sample.waited_s for sample in samples),
        },
        refused=[sample.refused for sample in samples if sample.refused],
        tells_starts=any(engine.started_at_ms for engine in engines) or not engines,
        spacing_s=float(np.median(np.diff(times))) if len(times) > 1 else 0.0,
        _spans=[
            (start.at - zero, (found[-1].at + found[-1].took_s if found else start.at) - zero)
            for start, found in segments
        ],
        _changes=changes,
    )


def _outages(samples: Sequence[Sample], zero: float) -> list[Outage]:
    """Return the outages of one stretch of watching."""
    outages = []
    begin: float | None = None
    reason, failed_until, answered_at = "", 0.0, None
    for sample in samples:
        end = sample.at + sample.took_s
        if sample.outage:
            if begin is None:
                begin = sample.at if answered_at is None else (answered_at + sample.at) / 2
                reason = sample.outage
            failed_until = end
            continue
        if begin is not None:
            # an answer after repeats came right when the hub was back
            back_at = end if sample.repeats else (failed_until + max(sample.at, failed_until)) / 2
            outages.append(Outage(begin - zero, back_at - zero, reason))
            begin = None
        elif sample.repeats and sample.took_s >= SHORTEST_OUTAGE_S:
            outages.append(
                Outage(sample.at - zero, end - zero, f"{sample.call} took {sample.repeats} repeats")
            )
        answered_at = sample.at
    if begin is not None:
        outages.append(Outage(begin - zero, failed_until - zero, reason))
    return outages
