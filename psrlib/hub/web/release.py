"""What differs between the releases of a hub beside its routes: version, size of pages, names of fields."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from psrlib.hub.store.text import Json
from psrlib.hub.web.issues import bad_request

SCHEMAS = "#/more/{name}"
Field = tuple[Any, Any]  # type and value


class Fields:
    """The fields of a record that a release has besides, each with its type and the value it always has.

    Attributes
    ----------
    more : type of record
        The fields that are added.
    less : frozenset of str
        The fields that are left out, by their names on the wire.
    values : dict
        The values of the added fields.
    """

    def __init__(self, less: Iterable[str] = (), **more: Field) -> None:
        self.more = msgspec.defstruct("More", [(name, kind, value) for name, (kind, value) in more.items()])
        self.less = frozenset(less)
        self.values: Json = msgspec.to_builtins(self.more())

    @property
    def properties(self) -> Json:
        """The JSON schemas of the added fields."""
        _, schemas = msgspec.json.schema_components([self.more], ref_template=SCHEMAS)
        properties: Json = schemas["More"]["properties"]
        return properties


@dataclass(frozen=True)
class Release:
    """A release of Control Hub that the embedded hub can be.

    Attributes
    ----------
    number : int
        3 or 4; routes are marked with it.
    version : str
        What ``server/info`` answers.
    largest_page : int
        Most rows of a listing that are given at a time; 0 for any number.
    has_draft_runs : bool
        Whether a job may run a draft.
    fields : dict
        Name of a record to its fields that differ.
    """

    number: int
    version: str
    largest_page: int = 0
    has_draft_runs: bool = False
    fields: Mapping[str, Fields] = field(default_factory=dict)

    def page_length(self, asked: str | None, length: int) -> int:
        """Return how many rows a listing gives: as many as were asked for, within bounds.

        Raises
        ------
        IssueError
            400 when more are asked for than a page may have, or all.
        """
        if not self.largest_page:
            return length
        if not asked:
            return self.largest_page
        if not 0 <= length <= self.largest_page:
            raise bad_request(f"query parameter len: expected 0 to {self.largest_page}, received {length}")
        return length

    def names(self, record: Any, names: Iterable[str]) -> set[str]:
        """Return the names of a record's fields in this release, of those it has otherwise."""
        mine = self.fields.get(_name(record))
        return set(names) if mine is None else (set(names) - mine.less) | set(mine.values)

    def show(self, value: Any) -> Any:
        """Return an answer with the fields of this release: a record becomes an object where they differ."""
        if not self.fields:
            return value
        if isinstance(value, list):
            return [self.show(item) for item in value]
        if isinstance(value, Struct) and _differs(type(value), self):
            return self._show_record(value)
        if isinstance(value, dict):
            return {name: self.show(item) for name, item in value.items()}
        return value

    def _show_record(self, record: Struct) -> Json:
        mine = self.fields.get(type(record).__name__)
        less = mine.less if mine else ()
        shown: Json = {}
        omitted = record.__struct_config__.omit_defaults
        for name, on_wire, is_deep, default in _plan(type(record), self):
            value = getattr(record, name)
            is_told = value is not msgspec.UNSET and not (omitted and value == default)
            if on_wire not in less and is_told:
                shown[on_wire] = self.show(value) if is_deep else value
        return shown | mine.values if mine else shown

    def schemas(self, schemas: Json) -> Json:
        """Return the JSON schemas of records with the fields of this release."""
        return {name: self._schema(name, schema) for name, schema in schemas.items()}

    def _schema(self, name: str, schema: Json) -> Json:
        mine = self.fields.get(name)
        if mine is None:
            return schema
        properties = {key: value for key, value in schema["properties"].items() if key not in mine.less}
        required = [key for key in schema.get("required", []) if key not in mine.less]
        return schema | {"properties": properties | mine.properties, "required": required}

    # releases are compared and kept as keys by their number, for there are no two of one
    def __hash__(self) -> int:
        return self.number


def _name(record: Any) -> str:
    return str((get_origin(record) or record).__name__)


@cache
def _plan(record: type[Struct], release: Release) -> list[tuple[str, str, bool, Any]]:
    """Return of each field its name, that on the wire, whether it may hold what differs, and its default."""
    hints = get_type_hints(record)
    return [
        (each.name, each.encode_name, _differs(hints[each.name], release), each.default)
        for each in msgspec.structs.fields(record)
    ]


@cache
def _differs(kind: Any, release: Release) -> bool:
    """Whether a type is, or holds, a record with other fields."""
    return _holds(kind, release, set())


def _holds(kind: Any, release: Release, seen: set[Any]) -> bool:
    if isinstance(kind, TypeVar):
        return True
    plain = get_origin(kind) or kind
    if not (isinstance(plain, type) and issubclass(plain, Struct)):
        return any(_holds(part, release, seen) for part in get_args(kind))
    if plain in seen:
        return False
    seen.add(plain)
    return _name(plain) in release.fields or any(
        _holds(hint, release, seen) for hint in get_type_hints(plain).values()
    )
