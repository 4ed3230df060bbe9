"""Drawing: the numbers of a range of organizations as columns, one value per entity.

Entities of one kind stand in one flat column, organization after organization. Everything is integer
arithmetic on raw words and look-ups in the model's quantile tables, so the numbers are the same everywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from psrlib.errors import InputError
from psrlib.model import NoiseModel, OrganizationDraws, QuantileTable
from psrlib.seed.streams import IntArray, Streams, WordArray

NAMED = (
    "users",
    "groups",
    "connections",
    "fragments",
    "pipelines",
    "topologies",
)  # order is part of the bytes

FEW, MANY = 1024, 8192  # organizations drawn at once, multiples of a block: at first and later
# An entity of the first kind needs one of the second
# Roles without which a hub lets nobody create these things (control-hub-rest, 3.4); owners have them all.
CREATING_ROLES = {
    "pipelinestore:pipelineEditor",
    "jobrunner:operator",
    "topology:editor",
    "notification:user",
}
KEEPING_ROLES = ("scheduler:operator", "connection:editor")
NEEDS = {
    "pipelines": "users",
    "jobs": "pipelines",
    "job_templates": "pipelines",
    "scheduled_tasks": "jobs",
    "subscriptions": "jobs",
    "connections": "users",
    "topologies": "users",
}


@dataclass(frozen=True)
class Rows:
    """Entities of one kind: how many in each organization, shape (n_organizations,)."""

    counts: IntArray

    @cached_property
    def offsets(self) -> IntArray:
        """Position of each organization's first entity, and the total, shape (n_organizations + 1,)."""
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.counts)])

    @cached_property
    def organization(self) -> IntArray:
        """Position of each entity's organization in the chunk, shape (n,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def index(self) -> IntArray:
        """Number of each entity in its organization, from 0, shape (n,)."""
        return np.arange(self.offsets[-1]) - self.offsets[self.organization]

    def spread(self, values: IntArray) -> IntArray:
        """Return a value per organization as a value per entity."""
        return values[self.organization]


def creators_roles(roles: list[str]) -> list[str]:
    """Return a user's roles; who may create pipelines and jobs also schedules jobs and keeps connections."""
    return roles + [role for role in KEEPING_ROLES if role not in roles] if may_create(roles) else roles


def may_create(roles: list[str]) -> bool:
    """Whether roles let a user create pipelines, jobs, topologies and subscriptions."""
    return set(roles) >= CREATING_ROLES


class Details:
    """The detail tables of all archetypes under one name, looked up for entities of any archetype.

    Indices point into ``values``, the archetypes' values one after the other.
    """

    def __init__(self, model: NoiseModel, n_archetypes: int, name: str) -> None:
        tables: list[QuantileTable] = [model.details(archetype)[name] for archetype in range(n_archetypes)]
        first = tables[0]
        if all(
            t is first or (t.values == first.values and np.array_equal(t.thresholds, first.thresholds))
            for t in tables
        ):
            tables = tables[:1]
        self.tables = tables
        self.starts = np.cumsum([0, *(len(table.values) for table in tables)])
        self.values: list[Any] = [value for table in tables for value in table.values]

    @cached_property
    def numbers(self) -> IntArray:
        """The values of a table of integers, shape (n_values,)."""
        return np.array(self.values, dtype=np.int64)

    def look_up(self, archetype: IntArray, words: WordArray, limit: IntArray | None = None) -> IntArray:
        """Return indices into ``values``, shape (n,), for one archetype, word and limit per entity."""
        if len(self.tables) == 1:
            return self.tables[0].look_up(words, limit)
        index = np.zeros(len(words), dtype=np.int64)
        for number, table in enumerate(self.tables):
            rows = np.flatnonzero(archetype == number)
            if len(rows):
                found = table.look_up(words[rows], None if limit is None else limit[rows])
                index[rows] = found + self.starts[number]
        return index

    def draw(self, archetype: IntArray, words: WordArray, limit: IntArray | None = None) -> IntArray:
        """Return drawn integers, shape (n,)."""
        return self.numbers[self.look_up(archetype, words, limit)]


class Drawer:
    """Draws chunks of organizations from a model; made once, used for any number of chunks."""

    def __init__(self, model: NoiseModel, random_seed: int) -> None:
        self.model = model
        self.streams = Streams(random_seed)
        self._details: dict[str, Details] = {}

    def organizations(self, organizations: range) -> OrganizationDraws:
        """Draw archetype, counts and configuration of the organizations, spread evenly over the model."""
        words = self.streams.table("organization", organizations, self.model.n_words)
        keys = self.streams.words("even organizations", 0, self.model.n_keys)
        return self.model.draw_evenly(words, organizations.start, keys)

    def blocks(self, n: int, size: int) -> Iterator[tuple[range, OrganizationDraws]]:
        """Yield ranges of at most ``size`` of ``n`` organizations with their draws.

        Many organizations are drawn at once, for a model of decision trees costs the same for 100 as for
        10,000; few at first, so that what follows can begin.
        """
        start, many = 0, FEW
        while start < n:
            end = min(start + many, n)
            draws = self.organizations(range(start, end))
            for first in range(start, end, size):
                last = min(first + size, end)
                yield range(first, last), _slice(draws, first - start, last - start)
            start, many = end, min(2 * many, MANY)

    def details(self, name: str, n_archetypes: int) -> Details:
        """Return the detail tables of that name."""
        if name not in self._details:
            self._details[name] = Details(self.model, n_archetypes, name)
        return self._details[name]


def _slice(draws: OrganizationDraws, first: int, last: int) -> OrganizationDraws:
    return OrganizationDraws(
        draws.archetype[first:last],
        draws.archetype_names,
        {name: column[first:last] for name, column in draws.counts.items()},
        {name: column[first:last] for name, column in draws.config.items()},
    )


class Chunk:
    """The columns of a range of organizations; each kind is drawn when first asked for.

    Parameters
    ----------
    drawer : Drawer
    organizations : range
        Neighbouring positions in the document.
    draws : OrganizationDraws or None
        What ``drawer.organizations`` gives for them, where it is known already.
    """

    def __init__(self, drawer: Drawer, organizations: range, draws: OrganizationDraws | None = None) -> None:
        self.drawer = drawer
        self.organizations = organizations
        self.draws = draws or drawer.organizations(organizations)
        self._check_structure()

    def count(self, metric: str) -> IntArray:
        """Return the count of a metric per organization; 0 where the model has no such metric.

        It is the drawn count but for one thing: where jobs are active there is at least one engine, for
        without one no job becomes ACTIVE.
        """
        zeros = np.zeros(len(self.organizations), dtype=np.int64)
        drawn = np.asarray(self.draws.counts.get(metric, zeros), dtype=np.int64)
        if metric == "engines":
            return np.maximum(drawn, self.draws.counts["active_jobs"] > 0)
        return drawn

    def _check_structure(self) -> None:
        for metric, needed in NEEDS.items():
            bad = np.flatnonzero((self.count(metric) > 0) & (self.count(needed) == 0))
            if len(bad):
                archetype = self.draws.archetype_names[int(self.draws.archetype[bad[0]])]
                raise InputError(
                    f'noise model "{self.drawer.model.name}": archetype "{archetype}" draws {metric} without'
                    f" {needed}; raise the lower bound of {needed}"
                )

    def rows(self, metric: str) -> Rows:
        """Return the entities of a metric."""
        return Rows(self.count(metric))

    def words(self, purpose: str, rows: Rows, width: int) -> tuple[WordArray, ...]:
        """Return ``width`` columns of random words for the entities."""
        table = self.drawer.streams.rows(purpose, self.organizations, rows.counts, width)
        return tuple(np.ascontiguousarray(table[:, column]) for column in range(width))

    @cached_property
    def _walks(self) -> WordArray:
        return self.drawer.streams.table("names", self.organizations, 2 * len(NAMED))

    def walk_words(self, kind: str, rows: Rows) -> tuple[WordArray, WordArray]:
        """Return start and step of the organization's walk through the names of a kind, for each entity."""
        column = 2 * NAMED.index(kind)
        of = rows.organization
        return self._walks[of, column], self._walks[of, column + 1]

    def look_up(self, name: str, rows: Rows, words: WordArray, limit: IntArray | None = None) -> IntArray:
        """Return indices into the values of a detail."""
        return self.details(name).look_up(rows.spread(self.draws.archetype), words, limit)

    def draw(self, name: str, rows: Rows, words: WordArray, limit: IntArray | None = None) -> IntArray:
        """Return drawn integers of a detail."""
        return self.details(name).draw(rows.spread(self.draws.archetype), words, limit)

    def details(self, name: str) -> Details:
        """Return the detail tables of that name."""
        return self.drawer.details(name, len(self.draws.archetype_names))

    @cached_property
    def user_words(self) -> tuple[WordArray, ...]:
        """Random words of the users: for the roles, for the groups."""
        return self.words("users", self.rows("users"), 2)

    @cached_property
    def _creates(self) -> tuple[IntArray, IntArray]:
        """Roles drawn for each user (index), and whether they let him create; the first user administers."""
        rows, details = self.rows("users"), self.details("user_roles")
        role = self.look_up("user_roles", rows, self.user_words[0])
        allowed = np.array([may_create(roles) for roles in details.values])
        return role, (allowed[role] | (rows.index == 0)).astype(np.int64)

    @cached_property
    def user_roles(self) -> IntArray:
        """Index of each user's roles; those who may create come first in each organization: they own."""
        role, creates = self._creates
        ordered: IntArray = role[np.lexsort((1 - creates, self.rows("users").organization))]
        return ordered

    @cached_property
    def _n_creators(self) -> IntArray:
        of = self.rows("users").organization
        return np.bincount(of[self._creates[1] > 0], minlength=len(self.organizations))

    def owner(self, rows: Rows, words: WordArray) -> IntArray:
        """Return the number of the owning user in the organization, concentrated on the first ones.

        Only users who may create things own any.
        """
        return self.draw("owner_rank", rows, words, rows.spread(self._n_creators))
