"""The vendor's own names and types (tests/contract/control-hub-4x.json), and how to hold others to them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import msgspec

from psrlib.hub.web.release import Release
from psrlib.hub.web.releases import RELEASES
from psrlib.hub.web.routing import Route

FILE = Path(__file__).parents[1] / "contract" / "control-hub-4x.json"
WRAPPER = "PaginationWrapperJson"
READ = "expected enum:CREATE|DELETE|UPDATE, sent 'READ'"  # of a connection: who read it is of use, too
# answers of release 4 that the documents lack: fields of sub-types, and what clients of 3.x and 4.x read
EXTRA = {
    "CspDeploymentJson": ("installType",),
    "RStep": ("jobs",),
    "RFinishCondition": ("crontabMask", "endTime", "timezone"),
    "RSchedulerJob": ("jobId", "jobName", "reportId", "reportName"),
    "DBeanDBean": ("action", "value"),
    "LoginAuditJson": ("org_id",),
    "PipelineLabel": ("projectId",),
}
Types = dict[str, dict[str, Any]]  # name of a type: its fields with their types


def shape(path: str) -> str:
    """Return a path with its variable parts blank; the scheduler's page ids are variable in the documents."""
    return re.sub(r"\{[^}]*\}|pageId=[^/]*", "{}", path)


class Vendor:
    """What the documents say.

    Attributes
    ----------
    operations : dict
        (method, shape of the path) to the operation: its types of ``body`` and ``answer``, if told.
    types : dict
        App to its types.
    """

    def __init__(self) -> None:
        apps = json.loads(FILE.read_text(encoding="utf-8"))["apps"]
        self.types: dict[str, Types] = {name: app["types"] for name, app in apps.items()}
        self.operations: dict[tuple[str, str], Any] = {
            (operation["method"], shape(operation["path"])): operation
            for app in apps.values()
            for operation in app["operations"]
        }

    def operation(self, route: Route) -> Any:
        """Return the operation that a route of ours serves, or None."""
        return self.operations.get((route.method, shape(route.path)))

    def faults(self, route: Route, content: bytes) -> list[str]:
        """Return what in an answer is not as the operation says; none where it says nothing."""
        operation = self.operation(route)
        kind = None if operation is None else operation.get("answer")
        if kind is None or kind == "string":  # of a text, or of anything
            return []
        value = json.loads(content)
        if isinstance(value, dict) and "totalCount" in value:
            value = value["data"]  # in the wrapper, which the documents name or not
        types, name = self.types[route.segments[0]], record_in(kind)
        if name not in types or name.startswith("PaginationWrapper"):
            return []  # of a map of anything, or of texts where clients read records
        if not isinstance(kind, dict):  # one or several; the row named where clients read its record
            name = f"{name}Json" if f"{name}Json" in types else name
            kind = [name] if isinstance(value, list) else name
        found = [fault for fault in faults(kind, value, types) if not fault.endswith(READ)]
        known = {f".{field}: {name} has no such field" for name, fields in EXTRA.items() for field in fields}
        return [fault for fault in found if not fault.endswith(tuple(known))]


def record_in(kind: Any) -> str | None:
    """Return the name of the type that a type of the documents is a list, map or page of, or is."""
    if isinstance(kind, list):
        return record_in(kind[0])
    if isinstance(kind, dict):
        return record_in(kind["*"])
    if kind is None:
        return None
    return str(kind).removeprefix(f"{WRAPPER}List").removeprefix(WRAPPER) or None


def basic(kind: Any) -> str:
    """Return the JSON kind of a type of the documents; empty when it may be anything."""
    if isinstance(kind, list):
        return "array"
    if isinstance(kind, dict):
        return "object"
    word = str(kind).partition(":")[0]
    if word == "enum":
        return "string"
    return (
        "" if word == "object" else word if word in ("string", "integer", "number", "boolean") else "object"
    )


def records(kind: Any) -> list[Any]:
    """Return the records that a type of ours is made of, those in lists and unions too."""
    if is_record(kind) and (get_origin(kind) or kind).__name__ != "Page":
        return [kind]
    return [record for part in get_args(kind) for record in records(part)]


def is_record(kind: Any) -> bool:
    plain = get_origin(kind) or kind
    return isinstance(plain, type) and issubclass(plain, msgspec.Struct)


def kinds(kind: Any) -> set[str]:
    """Return the JSON kinds that a type of ours allows, null aside; empty when it may be anything."""
    if hasattr(kind, "__metadata__"):
        return kinds(get_args(kind)[0])
    if kind is NoneType or kind is msgspec.UnsetType:
        return set()
    if is_record(kind):
        return {"object"}
    names: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
    names |= {list: "array", dict: "object", Literal: "string"}
    found = names.get(get_origin(kind) or kind)
    if found is not None:
        return {found}
    return {name for part in get_args(kind) for name in kinds(part)}


def compare(
    app: str, name: str, ours: Any, types: Types, seen: set[Any], release: Release = RELEASES[3]
) -> Iterator[tuple[str, str]]:
    """Yield (``lacking``, ``extra`` or ``another type``, app.Type.field) of a record and its parts."""
    if name not in types or (name, ours) in seen:
        return
    seen.add((name, ours))
    whole = getattr(get_origin(ours) or ours, "WHOLE", None)  # of a part that may come whole
    parts = [msgspec.structs.fields(part) for part in (whole, ours) if part is not None]
    fields = {field.encode_name: field.type for part in parts for field in part}
    if changed := release.fields.get((get_origin(ours) or ours).__name__):
        fields = {name: kind for name, kind in fields.items() if name not in changed.less}
        fields |= {field.encode_name: field.type for field in msgspec.structs.fields(changed.more)}
    for field, theirs in types[name].items():
        place = f"{app}.{name}.{field}"
        if field not in fields:
            yield "lacking", place
            continue
        if not _agree(fields[field], theirs):
            yield "another type", place
        for part in records(fields[field]):
            yield from compare(app, record_in(theirs) or "", part, types, seen, release)
    for field in fields.keys() - types[name].keys():
        yield "extra", f"{app}.{name}.{field}"


def _agree(ours: Any, theirs: Any) -> bool:
    """Whether a type of ours allows what a type of the documents holds, in lists too."""
    allowed, wanted = kinds(ours), basic(theirs)
    if wanted and allowed and wanted not in allowed | ({"number"} if "integer" in allowed else set()):
        return False
    items = [get_args(part)[0] for part in (ours, *get_args(ours)) if get_origin(part) is list]
    return not isinstance(theirs, list) or all(_agree(item, theirs[0]) for item in items)


def faults(name: Any, value: Any, types: Types, where: str = "") -> Iterator[str]:
    """Yield what in a JSON value is not as a type of the documents says: unknown fields, wrong types."""
    if value is None:
        return
    if isinstance(name, list):
        if not isinstance(value, list):
            yield f"{where}: expected a list, sent {value!r}"
            return
        for item in value:
            yield from faults(name[0], item, types, f"{where}[]")
    elif isinstance(name, dict):
        if not isinstance(value, dict):
            yield f"{where}: expected an object, sent {value!r}"
            return
        for key, item in value.items():
            yield from faults(name["*"], item, types, f"{where}.{key}")
    elif name in types:
        if not isinstance(value, dict):
            yield f"{where}: expected {name}, sent {value!r}"
            return
        for field, item in value.items():
            if field in types[name]:
                yield from faults(types[name][field], item, types, f"{where}.{field}")
            else:
                yield f"{where}.{field}: {name} has no such field"
    elif not _fits(str(name), value):
        yield f"{where}: expected {name}, sent {value!r}"


def _fits(kind: str, value: Any) -> bool:
    word, _, rest = kind.partition(":")
    if word == "enum":
        return value in rest.split("|")
    wanted: dict[str, Any] = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
    if word not in wanted:
        return True
    return isinstance(value, wanted[word]) and (word == "boolean" or not isinstance(value, bool))
