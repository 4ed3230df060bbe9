"""Engines that can run jobs of one kind, by the number of pipelines they run."""

from dataclasses import dataclass, field

from psrlib.hub.runner.records import Record


@dataclass
class Pool:
    """Candidate engines for jobs of one organization, executor type and set of labels.

    ``n_matching`` counts responding engines with all labels; ``engines`` are those of them below their
    thresholds of processor and memory; ``by_load`` holds their ids under the number of pipelines they run.
    """

    n_matching: int
    engines: dict[str, Record]
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
