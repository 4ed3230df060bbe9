"""The differ finds exactly what was changed."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psrlib.seed import SeedDocument
from psrlib.state.diff import diff, identity
from psrlib.state.observed import ObservedOrganization, ObservedState
from psrlib.words import KINDS


def as_observed(document: SeedDocument) -> ObservedState:
    """Return a hub that holds exactly the document."""
    return ObservedState({o.id: ObservedOrganization(o) for o in document.organizations}, [])


def change(state: ObservedState, organization: int, kind: str, entities: list[Any]) -> None:
    found = list(state.organizations.values())[organization]
    found.organization = msgspec.structs.replace(found.organization, **{kind: entities})


def test_a_hub_that_holds_the_document_has_no_difference(rich: SeedDocument) -> None:
    """The difference is falsy and its summary empty."""
    difference = diff(rich, as_observed(rich))
    assert not difference
    assert difference.summary() == ""
    assert difference.frame().empty


def test_an_empty_hub_lacks_everything(rich: SeedDocument) -> None:
    """Each entity is listed as missing once."""
    difference = diff(rich, ObservedState({}, []))
    counts = difference.counts()
    for kind in KINDS:
        n = sum(len(getattr(o, kind)) for o in rich.organizations)
        assert counts.get(kind, {}).get("missing", 0) == n
    assert counts["organizations"] == {"missing": len(rich.organizations)}


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_planted_deviations_are_found_and_nothing_else(rich: SeedDocument, data: st.DataObject) -> None:
    """Removed, added and duplicated entities of any kind are reported by organization, kind and name."""
    state = as_observed(rich)
    kinds = [(i, kind) for i, o in enumerate(rich.organizations) for kind in KINDS if getattr(o, kind)]
    index, kind = data.draw(st.sampled_from(kinds))
    entities = list(getattr(rich.organizations[index], kind))
    victim = data.draw(st.integers(0, len(entities) - 1))
    name = identity(kind, entities[victim])
    what = data.draw(st.sampled_from(["missing", "duplicate"]))
    if what == "missing":
        del entities[victim]
    else:
        entities.append(entities[victim])
    change(state, index, kind, entities)
    (item,) = diff(rich, state).items
    expected = (rich.organizations[index].id, kind, name, "missing" if what == "missing" else "extra")
    assert (item.organization, item.kind, item.name, item.change) == expected


def test_a_changed_field_names_both_values(rich: SeedDocument) -> None:
    """A different field is one item with desired and observed."""
    state = as_observed(rich)
    job = rich.organizations[0].jobs[0]
    jobs = [msgspec.structs.replace(job, instances=job.instances + 1), *rich.organizations[0].jobs[1:]]
    change(state, 0, "jobs", jobs)
    (item,) = diff(rich, state).items
    assert (item.field, item.change, item.desired, item.observed) == (
        "instances",
        "different",
        job.instances,
        job.instances + 1,
    )


def test_the_order_of_labels_roles_and_groups_does_not_matter(rich: SeedDocument) -> None:
    """Hubs return sets in their own order."""
    state = as_observed(rich)
    users = [msgspec.structs.replace(u, roles=u.roles[::-1]) for u in rich.organizations[0].users]
    change(state, 0, "users", users)
    assert not diff(rich, state)


def test_what_engines_bring_about_can_be_left_out(rich: SeedDocument) -> None:
    """Before the fleet runs, missing engines and job status are not populate's business."""
    state = as_observed(rich)
    jobs = [msgspec.structs.replace(job, status="INACTIVE") for job in rich.organizations[0].jobs]
    change(state, 0, "jobs", jobs)
    change(state, 0, "engines", [])
    assert not diff(rich, state, runtime=False)
    assert set(diff(rich, state).counts()) == {"engines", "jobs"}


@pytest.mark.parametrize("unseen", [True, False])
def test_limits_a_hub_does_not_publish_are_not_compared(rich: SeedDocument, unseen: bool) -> None:
    """Otherwise a hub without such an entry could never be consistent."""
    state = as_observed(rich)
    found = next(iter(state.organizations.values()))
    wanted = msgspec.structs.replace(found.organization.config, max_users=50)
    found.organization = msgspec.structs.replace(found.organization, config=wanted)
    organizations = [
        msgspec.structs.replace(o, config=msgspec.structs.replace(o.config, max_users=7)) if i == 0 else o
        for i, o in enumerate(rich.organizations)
    ]
    if unseen:
        found.unseen.add("max_users")
    document = msgspec.structs.replace(rich, organizations=organizations)
    assert bool(diff(document, state)) is not unseen
