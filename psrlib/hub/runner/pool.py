"""Engines that can run jobs of one kind, by the number of pipelines they run."""

from dataclasses import dataclass, field

from psrlib.hub.runner.entities import Engine


@dataclass(frozen=True)
class Choice:
    """Engines found for a job.

    ``chosen`` are in order of preference; ``matching`` are the responding engines with all labels, whatever
    their load: when there are some and ``chosen`` is short, thresholds are the reason.
    """

    chosen: list[Engine]
    matching: list[Engine]


@dataclass
class Pool:
    """Candidate engines for jobs of one organization, executor type and set of labels.

    ``matching`` are the responding engines with all labels; ``engines`` are those of them below their
    thresholds of processor and memory; ``by_load`` holds their ids under the number of pipelines they run.
    """

    matching: list[Engine]
    engines: dict[str, Engine]
    loads: dict[str, int] = field(default_factory=dict)
    by_load: dict[int, list[str]] = field(default_factory=dict)

    def fill(self, loads: dict[str, int]) -> None:
        """Sort the engines in by their loads; an engine that is not named runs nothing."""
        for engine_id in self.engines:
            self.loads[engine_id] = loads.get(engine_id, 0)
            self.by_load.setdefault(self.loads[engine_id], []).append(engine_id)

    def move(self, engine_id: str, change: int) -> None:
        """Change the load of an engine; one that is no candidate is passed over."""
        before = self.loads.get(engine_id)
        if before is None:
            return
        same = self.by_load[before]
        same.remove(engine_id)
        if not same:
            del self.by_load[before]
        self.loads[engine_id] = before + change
        self.by_load.setdefault(before + change, []).append(engine_id)

    def choose(self, n_wanted: int, excluded: set[str], start: int) -> Choice:
        """Return up to ``n_wanted`` engines (-1: all), least loaded first; among equals from ``start`` on."""
        chosen: list[Engine] = []
        for load in sorted(self.by_load):
            same = self.by_load[load]
            for index in range(len(same)):
                if len(chosen) == n_wanted:
                    break
                engine = self.engines[same[(start + index) % len(same)]]
                if engine.id not in excluded and load < engine.max_pipelines:
                    chosen.append(engine)
        return Choice(chosen, self.matching)
