"""The difference between a seed document (desired) and a hub (observed)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd
from msgspec import Struct, to_builtins
from msgspec.structs import asdict

from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.observed import ObservedOrganization, ObservedState
from psrlib.words import KINDS

# By what an entity is recognised, where that is not its name.
IDENTITY = {"users": "id", "groups": "id", "engines": "key"}
# Fields whose order has no meaning.
UNORDERED = {"roles", "groups", "labels", "tags", "jobs"}


class Item(NamedTuple):
    """One deviation; ``field`` is empty for a missing or extra entity."""

    organization: str
    kind: str
    name: str
    field: str
    change: Literal["missing", "extra", "different"]
    desired: Any
    observed: Any

    def record(self) -> dict[str, Any]:
        """Return plain values; an entity that is missing or extra is told by its name alone."""
        told = {name: getattr(self, name) for name in ("organization", "kind", "name", "change")}
        if not self.field:
            return told
        values = {"field": self.field, "desired": self.desired, "observed": self.observed}
        return told | {name: to_builtins(value) for name, value in values.items()}


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
        return pd.DataFrame(self.items, columns=Item._fields)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of deviations per kind and change.

        Examples
        --------
        >>> Difference((Item("o", "users", "a@o", "", "missing", None, None),)).counts()
        {'users': {'missing': 1}}
        """
        counts: dict[str, dict[str, int]] = {}
        for (kind, change), n in Counter((item.kind, item.change) for item in self.items).items():
            counts.setdefault(kind, {})[change] = n
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
    return Difference(
        tuple(
            item
            for desired in document.organizations
            for item in diff_organization(desired, observed.organizations.get(desired.id), runtime=runtime)
        )
    )


def diff_organization(
    desired: Organization, found: ObservedOrganization | None, *, runtime: bool = True
) -> Iterator[Item]:
    """Yield the deviations of one organization; None when it does not exist."""
    if found is None:
        yield Item(desired.id, "organizations", desired.id, "", "missing", desired.id, None)
    else:
        for kind, name, field, wanted, seen in _own_fields(desired, found):
            if wanted != seen:
                yield Item(desired.id, kind, name, field, "different", wanted, seen)
    if runtime and found is not None and found.n_unused_registrations:
        unused = (0, found.n_unused_registrations)
        yield Item(desired.id, "engines", desired.id, "registrations without an engine", "different", *unused)
    if runtime and found is not None and found.n_undeployed:
        field = "engines of a deployment that is not active"
        yield Item(desired.id, "engines", desired.id, field, "different", 0, found.n_undeployed)
    for kind in KINDS:
        if runtime or kind != "engines":
            entities = getattr(found.organization, kind) if found else []
            yield from _diff_kind(desired.id, kind, getattr(desired, kind), entities, runtime)


def identity(kind: str, entity: Struct) -> str:
    """Return by what an entity is recognised in its organization and kind."""
    return str(getattr(entity, IDENTITY.get(kind, "name")))


def _own_fields(
    desired: Organization, found: ObservedOrganization
) -> Iterator[tuple[str, str, str, Any, Any]]:
    """Yield kind, name, field, desired and observed value of what is the organization's own."""
    id = desired.id
    yield "organizations", id, "name", desired.name, found.organization.name
    yield "organizations", id, "active", True, found.active
    login = "cannot log in" if found.locked else "can log in"
    yield "organizations", id, "administrator", "can log in", login
    for field, wanted in asdict(desired.config).items():
        if wanted is not None and field not in found.unseen:
            yield "config", id, field, wanted, getattr(found.organization.config, field)
    for name in found.drafts:
        yield "topologies", name, "published", True, False
    for kind, name, detail in found.details:
        yield kind, name, *detail


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
            yield Item(organization, kind, name, "", "missing", asdict(wanted), None)
        # Most are equal, and comparing whole records is ten times faster than field by field.
        elif wanted != (match := matches.pop(0)):
            yield from _diff_fields(organization, kind, name, wanted, match, runtime)
    for name, entities in seen.items():
        for entity in entities:
            yield Item(organization, kind, name, "", "extra", None, asdict(entity))


def _diff_fields(
    organization: str, kind: str, name: str, desired: Struct, found: Struct, runtime: bool
) -> Iterator[Item]:
    for field in desired.__struct_fields__:
        wanted, seen = getattr(desired, field), getattr(found, field)
        if field == "key":  # the seed document's own; a hub does not hold it
            continue
        if not runtime and (kind, field) == ("jobs", "status"):
            continue
        # A hub may keep which template a job is an instance of only for instances that it started itself
        # (createAndStartJobInstances, control-hub-rest 5.6), which populating cannot use: no engine runs yet.
        if (kind, field) == ("jobs", "template") and seen is None:
            continue
        if sorted(wanted) != sorted(seen) if field in UNORDERED else wanted != seen:
            yield Item(organization, kind, name, field, "different", wanted, seen)
