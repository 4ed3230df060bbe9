"""Checking a seed document: keys and names are unique, and every reference leads somewhere."""

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from psrlib.errors import InputError
from psrlib.seed.decode import check_record
from psrlib.seed.document import Organization, SeedDocument
from psrlib.words import COUNTED, KINDS

# kind -> field -> kind that the field's keys are of
REFERENCES = {
    "users": {"groups": "groups"},
    "connections": {"owner": "users"},
    "fragments": {"owner": "users"},
    "pipelines": {"owner": "users", "fragment": "fragments", "connection": "connections"},
    "jobs": {"owner": "users", "pipeline": "pipelines", "template": "jobs"},
    "scheduled_tasks": {"owner": "users", "job": "jobs"},
    "subscriptions": {"owner": "users", "job": "jobs"},
    "topologies": {"owner": "users", "jobs": "jobs"},
}


def check_document(document: SeedDocument, file: str) -> None:
    """Check a document that was not decoded: types and bounds too; see `check_references`."""
    check_record(structs.replace(document, organizations=[]), file)
    for organization in document.organizations:
        check_record(organization, f'{file}: organization "{organization.id}"')
    check_references(document, file)


def check_references(document: SeedDocument, file: str) -> None:
    """Check a document; ``file`` is the name that messages start with.

    Raises
    ------
    InputError
        Naming file, organization, entity and field of the first mistake.
    """
    _unique(document.organizations, "id", f"{file}: organization")
    declared = document.provenance.num_orgs
    if declared != len(document.organizations):
        raise InputError(
            f'{file}: field "provenance.num_orgs" says {declared}, the document has'
            f" {len(document.organizations)} organizations; create it again with psr create-json"
        )
    for organization in document.organizations:
        _check_organization(organization, f'{file}: organization "{organization.id}"')


def _check_organization(organization: Organization, place: str) -> None:
    if not organization.users:
        raise InputError(f'{place}: field "users" is empty; an organization needs its administrator')
    known: dict[str, set[str]] = {}
    for kind, word in KINDS.items():
        entities = getattr(organization, kind)
        known[kind] = _unique(entities, "key", f"{place}: {word}")
        if kind != "engines":
            _unique(entities, "id" if kind in ("users", "groups") else "name", f"{place}: {word}")
    for kind, fields in REFERENCES.items():
        entities = getattr(organization, kind)
        for field, target in fields.items():
            _check_field(entities, field, known[target], target, f"{place}: {KINDS[kind]}")
    for kind in ("users", "groups"):
        for entity in getattr(organization, kind):
            if not entity.id.endswith(f"@{organization.id}"):
                raise InputError(
                    f'{place}: {KINDS[kind]} "{entity.key}", field "id": expected'
                    f' <name>@{organization.id}, got "{entity.id}"'
                )
    _check_limits(organization, place)
    _check_meaning(organization, place)


def _check_limits(organization: Organization, place: str) -> None:
    """Check that what counts against each limit fits, for a hub would refuse the rest in mid-populate.

    Job templates are jobs here, as they are on a hub.
    """
    for field, names in COUNTED.items():
        limit = getattr(organization.config, field)
        kinds = [kind for kind in names if kind in KINDS]
        n = sum(len(getattr(organization, kind)) for kind in kinds)
        if limit is not None and n > limit:
            what = " and ".join(name.replace("_", " ") for name in names)
            raise InputError(
                f'{place}: {n} {what} exceed its limit, field "config.{field}": {limit}; raise the limit, or'
                " take some away"
            )


def _check_field(entities: Sequence[Any], field: str, known: set[str], target: str, place: str) -> None:
    for entity in entities:
        value = getattr(entity, field)
        if isinstance(value, str):
            value = [value]
        missing = [key for key in value or () if key not in known]
        if missing:
            raise InputError(
                f'{place} "{entity.key}", field "{field}", names {KINDS[target]} "{missing[0]}", which'
                " the organization lacks; create the document again with psr create-json"
            )


def _check_meaning(organization: Organization, place: str) -> None:
    """Check what types and references cannot say."""
    for pipeline in organization.pipelines:
        room = pipeline.stages - 1 - pipeline.event_lane
        if pipeline.branches > room:
            raise InputError(
                f'{place}: pipeline "{pipeline.key}", field "branches": expected at most {room} for'
                f" {pipeline.stages} stages{' with an event lane' if pipeline.event_lane else ''}, got"
                f" {pipeline.branches}"
            )
        if pipeline.fragment is not None and pipeline.branches >= room:
            raise InputError(
                f'{place}: pipeline "{pipeline.key}", field "fragment": its {pipeline.stages} stages leave no'
                " processor for a fragment to stand in for"
            )
    jobs = {job.key: job for job in organization.jobs}
    for job in organization.jobs:
        if job.template is not None and not jobs[job.template].is_template:
            raise InputError(
                f'{place}: job "{job.key}", field "template": "{job.template}" is a job, not a job template'
            )
        if job.is_template and job.template is not None:
            raise InputError(
                f'{place}: job "{job.key}", field "template": a job template is no instance of'
                f' a template, got "{job.template}"'
            )
        if job.is_template and job.status == "ACTIVE":
            raise InputError(f'{place}: job "{job.key}", field "status": a job template can\'t be ACTIVE')
        if job.status == "ACTIVE" and not organization.engines:
            raise InputError(
                f'{place}: job "{job.key}", field "status": expected INACTIVE in an organization without'
                " engines, got ACTIVE"
            )
    for task in organization.scheduled_tasks:
        if jobs[task.job].is_template:
            raise InputError(
                f'{place}: scheduled task "{task.key}", field "job": "{task.job}" is a job template'
            )


def _unique(entities: Sequence[Any], field: str, place: str) -> set[str]:
    values: set[str] = set()
    for entity in entities:
        value = getattr(entity, field)
        if value in values:
            raise InputError(f'{place} "{value}" stands twice (field "{field}"); each must be unique')
        values.add(value)
    return values
