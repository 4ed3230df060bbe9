"""How many pipelines an organization's engines have to run at once, and how many they can."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from psrlib.errors import InputError
from psrlib.seed.document import Job, Organization, SeedDocument

VARIABLE = "engine_max_pipelines"
DEFAULT = 22  # of a Data Collector whose runner.thread.pool.size is the vendor's 50
ALL_ENGINES = -1  # instances of a job that runs on every matching engine (control-hub-rest, 5.3)
LARGEST = 10_000


class Shortage(NamedTuple):
    """Engines that are asked for more pipelines at once than they can run: those that have ``labels``."""

    organization: str
    labels: tuple[str, ...]
    engines: int
    instances: int
    max_pipelines: int

    def __str__(self) -> str:
        """Return one sentence with what to do."""
        labelled = f" labelled {', '.join(self.labels)}" if self.labels else ""
        return (
            f"{self.organization}: active jobs want {self.instances} pipelines at once on {self.engines} "
            f"engines{labelled}, which run {self.max_pipelines} each: {self.lacking} will fail on real "
            f"engines (CONTAINER_0166) unless their runner.thread.pool.size allows {self.each} each, as "
            "psr engines configure writes it"
        )

    @property
    def lacking(self) -> int:
        """How many pipelines find no engine."""
        return self.instances - self.engines * self.max_pipelines

    @property
    def each(self) -> int:
        """How many pipelines an engine runs when they are spread evenly."""
        return math.ceil(self.instances / self.engines)


def max_pipelines(variables: Mapping[str, str]) -> int:
    """Return how many pipelines an engine can run at once, as the variables of a document say.

    Raises
    ------
    InputError
        If the variable is not a whole number of at least 1.
    """
    text = variables.get(VARIABLE, str(DEFAULT))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LARGEST):
        raise InputError(f"variable {VARIABLE!r}: expected a whole number from 1 to {LARGEST}, got {text!r}")
    return int(text)


def find_shortages(document: SeedDocument) -> list[Shortage]:
    """Return where active jobs exceed what their engines can run, one finding for an organization at most."""
    limit = max_pipelines(document.variables)
    found = (find_shortage(organization, limit) for organization in document.organizations)
    return [shortage for shortage in found if shortage is not None]


def find_shortage(organization: Organization, limit: int) -> Shortage | None:
    """Return the worst shortage of an organization.

    The jobs whose engines all are among those with certain labels have only these engines to share. That is
    looked at for every set of labels that a job asks for; no shortage there is none at all where label sets
    are nested or apart, as they are in drawn documents.
    """
    shortages = [
        Shortage(organization.id, labels, len(engines), instances, limit)
        for labels, engines, instances in _demands(organization)
        if instances > limit * len(engines)
    ]
    return max(shortages, key=lambda shortage: shortage.lacking, default=None)


def engine_needs(organization: Organization) -> dict[str, int]:
    """Return for each engine, by key, how many pipelines it runs at once when jobs are spread evenly."""
    needs = dict.fromkeys((engine.key for engine in organization.engines), 0)
    for _, engines, instances in _demands(organization):
        for key in engines:
            needs[key] = max(needs[key], math.ceil(instances / len(engines)))
    return needs


def _demands(organization: Organization) -> Iterator[tuple[tuple[str, ...], frozenset[str], int]]:
    """Yield a set of labels, the engines that have them, and the pipelines that only these can run."""
    fitting: dict[tuple[str, ...], frozenset[str]] = {}
    wanted: dict[frozenset[str], int] = {}
    collectors = [engine for engine in organization.engines if engine.type == "COLLECTOR"]
    for job in organization.jobs:
        if job.status != "ACTIVE" or job.is_template:
            continue
        labels = tuple(sorted(job.labels))
        if labels not in fitting:
            fitting[labels] = frozenset(e.key for e in collectors if set(labels) <= set(e.labels))
        engines = fitting[labels]
        wanted[engines] = wanted.get(engines, 0) + _instances(job, len(engines))
    for labels, engines in fitting.items():
        if engines:  # a job that no engine fits is another finding
            yield labels, engines, sum(n for others, n in wanted.items() if others <= engines)


def _instances(job: Job, n_engines: int) -> int:
    return n_engines if job.instances == ALL_ENGINES else min(job.instances, n_engines)
