"""The difference between a seed document (desired) and a hub (observed)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from msgspec import Struct

from psrlib.seed.document import Config, Organization, SeedDocument
from psrlib.state.observed import ObservedOrganization, ObservedState
from psrlib.words import KINDS

Change = Literal["missing", "extra", "different"]

# By what an entity is recognised, where that is not its name.
IDENTITY = {"users": "id", "groups": "id", "engines": "key"}
# Fields whose order has no meaning.
UNORDERED = {"roles", "groups", "labels", "tags", "jobs"}
# Set by engines when they run, not by populating.
RUNTIME_KINDS = ("engines",)
RUNTIME_FIELDS = {("jobs", "status")}
# Keys are the seed document's own; a hub does not hold them.
NOT_COMPARED = {"key"}
# A hub may keep which template a job is an instance of only for instances that it started itself
# (createAndStartJobInstances, control-hub-rest 5.6), which populating cannot use: no engine runs yet.
TEMPLATE_LINK = ("jobs", "template")


@dataclass(frozen=True)
class Item:
    """One deviation; ``field`` is empty for a missing or extra entity."""

    organization: str
    kind: str
    name: str
    field: str
    change: Change
    desired: Any
    observed: Any


@dataclass(frozen=True)
class Difference:
    """All deviations, in document order; falsy when there is none."""

    items: tuple[Item, ...]

    def __bool__(self) -> bool:
        return bool(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def frame(self) -> pd.DataFrame:
        """Return one row per deviation."""
        columns = ["organization", "kind", "name", "field", "change", "desired", "observed"]
        return pd.DataFrame([[getattr(item, c) for c in columns] for item in self.items], columns=columns)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of deviations per kind and change.

        Examples
        --------
        >>> Difference((Item("o", "users", "a@o", "", "missing", None, None),)).counts()
        {'users': {'missing': 1}}
        """
        counts: dict[str, dict[str, int]] = {}
        for item in self.items:
            by_change = counts.setdefault(item.kind, {})
            by_change[item.change] = by_change.get(item.change, 0) + 1
        return counts

    def summary(self) -> str:
        """Return one line such as ``3 users missing, 1 jobs different``; empty when there is no deviation."""
        return ", ".join(
            f"{n} {kind.replace('_', ' ')} {change}"
            for kind, by_change in self.counts().items()
            for change, n in by_change.items()
        )


def diff(document: SeedDocument, observed: ObservedState, *, runtime: bool = True) -> Difference:
    """Return what a hub lacks, has too much, or has otherwise than the seed document says.

    Parameters
    ----------
    document : SeedDocument
        Desired state, variables resolved.
    observed : ObservedState
        What `observe` found.
    runtime : bool
        Also compare what running engines bring about: registered engines and job status.

    Notes
    -----
    Organizations that the document does not name are no deviation; ``observed.foreign`` lists them.
    """
    items: list[Item] = []
    for desired in document.organizations:
        found = observed.organizations.get(desired.id)
        if found is None:
            items += _missing_organization(desired, runtime)
        else:
            items += diff_organization(desired, found, runtime=runtime)
    return Difference(tuple(items))


def diff_organization(
    desired: Organization, found: ObservedOrganization, *, runtime: bool = True
) -> list[Item]:
    """Return the deviations of one organization that exists."""
    items = []
    if desired.name != found.organization.name:
        pair = (desired.name, found.organization.name)
        items.append(Item(desired.id, "organizations", desired.id, "name", "different", *pair))
    if not found.active:
        items.append(Item(desired.id, "organizations", desired.id, "active", "different", True, False))
    if found.locked:
        pair = ("can log in", "cannot log in")
        items.append(Item(desired.id, "organizations", desired.id, "administrator", "different", *pair))
    items += _diff_config(desired.id, desired.config, found.organization.config, found.unseen)
    for name in found.drafts:
        items.append(Item(desired.id, "topologies", name, "published", "different", True, False))
    for kind in KINDS:
        if runtime or kind not in RUNTIME_KINDS:
            wanted, seen = getattr(desired, kind), getattr(found.organization, kind)
            items += _diff_kind(desired.id, kind, wanted, seen, runtime)
    return items


def identity(kind: str, entity: Struct) -> str:
    """Return by what an entity is recognised in its organization and kind."""
    return str(getattr(entity, IDENTITY.get(kind, "name")))


def _missing_organization(desired: Organization, runtime: bool) -> Iterator[Item]:
    yield Item(desired.id, "organizations", desired.id, "", "missing", desired.id, None)
    for kind in KINDS:
        if runtime or kind not in RUNTIME_KINDS:
            for entity in getattr(desired, kind):
                yield Item(desired.id, kind, identity(kind, entity), "", "missing", _record(entity), None)


def _diff_config(organization: str, desired: Config, found: Config, unseen: set[str]) -> Iterator[Item]:
    for field in Config.__struct_fields__:
        wanted, seen = getattr(desired, field), getattr(found, field)
        if wanted is not None and field not in unseen and wanted != seen:
            yield Item(organization, "config", organization, field, "different", wanted, seen)


def _diff_kind(
    organization: str, kind: str, desired: Sequence[Struct], found: Sequence[Struct], runtime: bool
) -> Iterator[Item]:
    seen: dict[str, list[Struct]] = defaultdict(list)
    for entity in found:
        seen[identity(kind, entity)].append(entity)
    for wanted in desired:
        name = identity(kind, wanted)
        matches = seen.get(name)
        if not matches:
            yield Item(organization, kind, name, "", "missing", _record(wanted), None)
            continue
        match = matches.pop(0)
        if wanted != match:  # most are equal, and comparing whole records is ten times faster
            yield from _diff_fields(organization, kind, name, wanted, match, runtime)
    for name, entities in seen.items():
        for entity in entities:
            yield Item(organization, kind, name, "", "extra", None, _record(entity))


def _diff_fields(
    organization: str, kind: str, name: str, desired: Struct, found: Struct, runtime: bool
) -> Iterator[Item]:
    for field in desired.__struct_fields__:
        if field in NOT_COMPARED or (not runtime and (kind, field) in RUNTIME_FIELDS):
            continue
        if (kind, field) == TEMPLATE_LINK and getattr(found, field) is None:
            continue
        wanted, seen = getattr(desired, field), getattr(found, field)
        same = sorted(wanted) == sorted(seen) if field in UNORDERED else wanted == seen
        if not same:
            yield Item(organization, kind, name, field, "different", wanted, seen)


def _record(entity: Struct) -> dict[str, Any]:
    return {field: getattr(entity, field) for field in entity.__struct_fields__}
