"""A chunk: what is drawn for a range of organizations, kind by kind."""

from functools import cached_property
from typing import Any

import numpy as np

from psrlib.arrays import IntArray, WordArray
from psrlib.errors import InputError
from psrlib.model import OrganizationDraws
from psrlib.seed.columns import Details, Drawer, Rows
from psrlib.seed.records import each, first_keys
from psrlib.seed.roles import may_create
from psrlib.seed.vocabulary import Names
from psrlib.words import COUNTED, NOT_SET

# Kinds of entities with names; each has its place among the words of the names, so the order stays
NAMED = ("users", "groups", "connections", "fragments", "pipelines", "topologies")
# An entity of the first kind needs one of the second
NEEDS = {
    "pipelines": "users",
    "jobs": "pipelines",
    "job_templates": "pipelines",
    "scheduled_tasks": "jobs",
    "subscriptions": "jobs",
    "connections": "users",
    "topologies": "users",
}


class Chunk:
    """Columns of neighbouring organizations, by their positions in the document.

    ``draws`` is what ``drawer.organizations`` gives for them, where it is known already.
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

    def limit(self, name: str) -> IntArray:
        """Return a limit per organization, such as ``max_jobs``; -1 where it is not set.

        Draws stay within the limits but for what an organization cannot be without (an administrator, a
        pipeline of its jobs, an engine of its active jobs); where that alone is too much the limit gives way.
        """
        drawn = self.draws.config.get(name, np.full(len(self.organizations), NOT_SET))
        if name not in COUNTED:
            return drawn
        counted = sum(self.count(metric) for metric in COUNTED[name])
        return np.where(drawn == NOT_SET, NOT_SET, np.maximum(drawn, counted))

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

    def names(self, kind: str, rows: Rows, names: Names) -> list[str]:
        """Return a name for each entity of a kind; no two of an organization are equal."""
        column = 2 * NAMED.index(kind)
        start, step = self._walks[:, column], self._walks[:, column + 1]
        return names.walk(start[rows.organization], step[rows.organization], rows.index)

    @cached_property
    def organization_ids(self) -> list[str]:
        """The id of each organization."""
        return [f"org-{number + 1:04d}" for number in self.organizations]

    def ids(self, rows: Rows) -> list[str]:
        """Return the organization's id for each entity."""
        return each(self.organization_ids, rows.organization.tolist())

    def look_up(self, name: str, rows: Rows, words: WordArray, limit: IntArray | None = None) -> IntArray:
        """Return indices into the values of a detail."""
        return self.details(name).look_up(rows.spread(self.draws.archetype), words, limit)

    def values(self, name: str, rows: Rows, words: WordArray) -> list[Any]:
        """Return drawn values of a detail."""
        return each(self.details(name).values, self.look_up(name, rows, words).tolist())

    def draw(self, name: str, rows: Rows, words: WordArray, limit: IntArray | None = None) -> IntArray:
        """Return drawn integers of a detail."""
        return self.details(name).draw(rows.spread(self.draws.archetype), words, limit)

    def details(self, name: str) -> Details:
        """Return the detail tables of that name."""
        return self.drawer.details(name)

    @cached_property
    def inside(self) -> dict[str, dict[str, IntArray]]:
        """Columns of the entities by kind, as the model draws them together: owners, what jobs run ...

        What the model has no columns for is drawn from its detail tables.
        """
        known = {metric: self.count(metric) for metric in self.draws.counts} | self.draws.config
        inside = self.drawer.model.inside

        def words(name: str, counts: IntArray, width: int) -> tuple[WordArray, ...]:
            return self.words(f"inside {name}", Rows(counts), width)

        style_words = self.drawer.streams.table("inside", self.organizations, inside.n_words)
        return inside.draw(known, style_words, words)

    def column(self, kind: str, column: str, detail: str, rows: Rows, words: WordArray) -> IntArray:
        """Return the integers of a column of a kind: from its inside, else drawn from a detail table."""
        drawn = self.inside.get(kind, {}).get(column)
        return self.draw(detail, rows, words) if drawn is None else drawn

    def texts(self, kind: str, column: str, detail: str, rows: Rows, words: WordArray) -> list[str]:
        """Return the texts of a column of a kind: from its inside, else drawn from a detail table."""
        drawn = self.inside.get(kind, {}).get(column)
        if drawn is None:
            return self.values(detail, rows, words)
        return self.drawer.model.inside.text(kind, column, drawn)

    @cached_property
    def engine_labels(self) -> IntArray:
        """How many labels each job asks its engines for, at least 1: "all", which every engine has."""
        n_jobs = int(self.count("jobs").sum())
        drawn = self.inside["jobs"].get("engine_labels", np.ones(n_jobs, dtype=np.int64))
        return np.maximum(drawn, 1)

    @cached_property
    def user_words(self) -> tuple[WordArray, ...]:
        """Random words of the users: for the roles, for the groups."""
        return self.words("users", self.rows("users"), 2)

    @cached_property
    def user_roles(self) -> IntArray:
        """Index of each user's roles; who owns something may create things."""
        rows = self.rows("users")
        role = self.look_up("user_roles", rows, self.user_words[0])
        creators = self._creators
        if not len(creators):
            return role
        return np.where((self.owns > 0) & ~np.isin(role, creators), creators[0], role)

    @property
    def owns(self) -> IntArray:
        """Whether each user owns pipelines or jobs: 1 or 0."""
        rows = self.rows("users")
        owns = np.zeros(int(rows.counts.sum()), dtype=np.int64)
        for kind in ("pipelines", "jobs"):
            of = self.rows(kind)
            owns[of.spread(rows.offsets[:-1]) + self.owner_numbers(kind)] = 1
        return owns

    @cached_property
    def _creators(self) -> IntArray:
        """Roles (index) that let a user create things."""
        values = self.details("user_roles").values
        return np.array([i for i, roles in enumerate(values) if may_create(roles)], dtype=np.int64)

    def owner_numbers(self, kind: str) -> IntArray:
        """Return the number of the user who owns each pipeline or job, from 0 in its organization.

        Where the model knows no roles that let a user create things, the administrator owns all.
        """
        numbers = self.inside[kind]["owner"]
        return numbers if len(self._creators) else np.zeros_like(numbers)

    def owners(self, kind: str) -> list[str]:
        """Return the key of the user who owns each pipeline or job."""
        numbers = self.owner_numbers(kind)
        return each(first_keys("user", int(numbers.max(initial=0)) + 1), numbers.tolist())
