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

    def owners(self, rows: Rows, words: WordArray) -> list[str]:
        """Return the key of the owning user of each entity, concentrated on the organization's first ones.

        Only users who may create things own any.
        """
        number = self.draw("owner_rank", rows, words, rows.spread(self._n_creators))
        return each(first_keys("user", int(number.max(initial=0)) + 1), number.tolist())
