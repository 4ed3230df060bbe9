"""Every reference is checked, and the message says which one is wrong."""

from typing import Any

import msgspec
import pytest

from psrlib.errors import InputError
from psrlib.seed import SeedDocument
from psrlib.seed.check import REFERENCES, check_document, check_references
from psrlib.words import KINDS


def changed(document: SeedDocument, kind: str, index: int, **fields: Any) -> SeedDocument:
    """Return the document with fields of one entity of the first organization replaced."""
    organization = document.organizations[0]
    entities = list(getattr(organization, kind))
    entities[index] = msgspec.structs.replace(entities[index], **fields)
    first = msgspec.structs.replace(organization, **{kind: entities})
    return msgspec.structs.replace(document, organizations=[first, *document.organizations[1:]])


@pytest.fixture(scope="module")
def full(rich_seed: SeedDocument) -> SeedDocument:
    """A document whose first organization has some of every kind."""
    first = next(
        organization
        for organization in rich_seed.organizations
        if all(getattr(organization, kind) for kind in KINDS)
        and any(p.stages >= 4 and not p.fragment for p in organization.pipelines[:1])
    )
    provenance = msgspec.structs.replace(rich_seed.provenance, num_orgs=1)
    return msgspec.structs.replace(rich_seed, provenance=provenance, organizations=[first])


def test_generated_documents_are_in_order(rich_seed: SeedDocument) -> None:
    """Nothing to complain about."""
    check_references(rich_seed, "seed.json")


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, fields in REFERENCES.items() for field in fields]
)
def test_each_reference_is_followed(full: SeedDocument, kind: str, field: str) -> None:
    """A key that nobody has is named together with file, organization, entity and field."""
    entity = getattr(full.organizations[0], kind)[-1]
    value = ["nobody-0001"] if isinstance(getattr(entity, field), list) else "nobody-0001"
    with pytest.raises(InputError) as caught:
        check_references(changed(full, kind, -1, **{field: value}), "seed.json")
    message = str(caught.value)
    for part in ("seed.json", full.organizations[0].id, entity.key, f'"{field}"', '"nobody-0001"'):
        assert part in message


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "engines"])
def test_names_are_unique(full: SeedDocument, kind: str) -> None:
    """Two entities of a kind with one name could not be told apart on a hub."""
    entities = getattr(full.organizations[0], kind)
    field = "id" if kind in ("users", "groups") else "name"
    twin = msgspec.structs.replace(entities[0], key="twin-0001")
    organization = msgspec.structs.replace(full.organizations[0], **{kind: [*entities, twin]})
    document = msgspec.structs.replace(full, organizations=[organization])
    with pytest.raises(InputError, match="stands twice") as caught:
        check_references(document, "seed.json")
    assert getattr(twin, field) in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("pipelines", {"stages": 1}, "stages: expected `int` >= 2, got 1"),
        ("pipelines", {"branches": 0}, "branches: expected `int` >= 1"),
        ("pipelines", {"stages": 3, "branches": 3, "event_lane": False}, "expected at most 2 for 3 stages"),
        (
            "pipelines",
            {"stages": 3, "branches": 2, "event_lane": True},
            "expected at most 1 for 3 stages with an event",
        ),
        (
            "pipelines",
            {"stages": 2, "branches": 1, "event_lane": False, "fragment": "fragment-0001"},
            "leave no processor for a fragment",
        ),
        ("pipelines", {"commits": 0}, "commits: expected `int` >= 1"),
        ("jobs", {"instances": 0}, "instances: expected `int` >= 1"),
        ("fragments", {"stages": 0}, "stages: expected `int` >= 1"),
    ],
)
def test_impossible_numbers_are_refused(
    full: SeedDocument, kind: str, fields: dict[str, Any], words: str
) -> None:
    """Bounds, and what types cannot say."""
    with pytest.raises(InputError, match=words):
        check_document(changed(full, kind, 0, **fields), "seed.json")


def test_templates_are_no_jobs(full: SeedDocument) -> None:
    """A template is never ACTIVE nor scheduled, and only templates have instances."""
    jobs = full.organizations[0].jobs
    template = next(i for i, job in enumerate(jobs) if job.is_template)
    job = next(i for i, job in enumerate(jobs) if not job.is_template)
    with pytest.raises(InputError, match="can't be ACTIVE"):
        check_references(changed(full, "jobs", template, status="ACTIVE"), "seed.json")
    with pytest.raises(InputError, match="is a job template"):
        check_references(changed(full, "scheduled_tasks", 0, job=jobs[template].key), "seed.json")
    with pytest.raises(InputError, match="not a job template"):
        check_references(changed(full, "jobs", job, template=jobs[-1].key), "seed.json")


def test_an_active_job_needs_an_engine(tiny_seed: SeedDocument) -> None:
    """Without engines nothing becomes ACTIVE."""
    organization = msgspec.structs.replace(tiny_seed.organizations[0], engines=[])
    document = msgspec.structs.replace(tiny_seed, organizations=[organization, *tiny_seed.organizations[1:]])
    with pytest.raises(InputError, match="without engines, got ACTIVE"):
        check_references(document, "seed.json")


def test_an_organization_needs_its_administrator(tiny_seed: SeedDocument) -> None:
    """The first user is who the organization is created with."""
    organization = msgspec.structs.replace(tiny_seed.organizations[0], users=[])
    document = msgspec.structs.replace(tiny_seed, organizations=[organization, *tiny_seed.organizations[1:]])
    with pytest.raises(InputError, match='"users" is empty'):
        check_references(document, "seed.json")


def test_two_organizations_with_one_id_are_refused(tiny_seed: SeedDocument) -> None:
    """Organization ids are unique in the document."""
    twice = [tiny_seed.organizations[0]] * 2
    with pytest.raises(InputError, match='"org-0001" stands twice'):
        check_references(msgspec.structs.replace(tiny_seed, organizations=twice), "seed.json")
