"""What clients send and a real hub may not take: unknown fields, values of a wrong type.

They are logged and counted; a strict hub refuses them. Wrong types in the fields of a typed body are refused
by every hub; here it is about what the hub only keeps, such as the metadata of a pipeline's definition.
"""

import logging
import threading
from collections.abc import Iterator
from functools import cache, cached_property
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import msgspec

from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.release import Release
from psrlib.hub.web.releases import RELEASES

logger = logging.getLogger(__name__)
Fault = Literal["unknown field", "wrong type"]
LOOKED_BYTES = 1024 * 1024  # a body is decoded once more to be looked at; larger ones by a strict hub alone
MAX_NAMES = 1000  # different faults that are logged: their names come from outside


class Strictness:
    """Counts what clients send wrong, and refuses it when the hub is strict.

    Attributes
    ----------
    strict : bool
        Whether a fault is answered with 400.
    counts : dict
        Kind of fault to how often it was met.
    seen : set of (fault, call, field)
        The different faults; each is logged once.
    """

    def __init__(self, strict: bool = False, release: Release = RELEASES[3]) -> None:
        self.strict = strict
        self.release = release
        self.counts: dict[Fault, int] = {"unknown field": 0, "wrong type": 0}
        self.seen: set[tuple[Fault, str, str]] = set()
        self._lock = threading.Lock()  # bodies are read on the event loop, documents in the writer thread

    def note(self, fault: Fault, call: str, name: str, detail: str = "") -> None:
        """Take down a fault of a call such as ``PUT /jobrunner/rest/v1/jobs``.

        Raises
        ------
        IssueError
            400 naming the field, on a strict hub.
        """
        with self._lock:
            self.counts[fault] += 1
            is_new = (fault, call, name) not in self.seen and len(self.seen) < MAX_NAMES
            if is_new:
                self.seen.add((fault, call, name))
        if is_new:
            logger.warning("%s: %s '%s'%s", call, fault, name[:200], detail)
        if self.strict:
            raise bad_request(f"{call}: {fault} '{name}'{detail}; this hub is strict")

    def check_body(self, call: str, kind: Any, body: bytes | bytearray) -> None:
        """Note the fields in a JSON body that its type has not."""
        if _shape(kind) is None or not body or body.isspace():
            return
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_request(f"the body of {call} is wrong: {error}") from error
        self.check_value(call, kind, value)

    def check_value(self, call: str, kind: Any, value: Any, where: str = "") -> None:
        """Note the fields in a JSON value that its type has not; ``where`` it stands in the body."""
        for name in unknown_fields(kind, value, where, self.release):
            self.note("unknown field", call, name)


def unknown_fields(kind: Any, value: Any, where: str = "", release: Release = RELEASES[3]) -> Iterator[str]:
    """Yield the paths of the fields in a JSON value that a type made of records has not, in a release.

    Examples
    --------
    >>> class Tag(msgspec.Struct):
    ...     name: str
    >>> list(unknown_fields(list[Tag], [{"name": "a", "colour": "red"}]))
    ['[].colour']
    """
    shape = _shape(kind)
    if shape is None:
        return
    if isinstance(value, list):
        for item in value:
            for part in shape.items:
                yield from unknown_fields(part, item, f"{where}[]", release)
    elif isinstance(value, dict) and shape.fields is not None:
        before = f"{where}." if where else ""
        known = release.names(shape.record, shape.fields)
        for name in sorted(value.keys() - known):
            yield before + name
        for name, part in shape.nested:
            if content := value.get(name):
                yield from unknown_fields(part, content, before + name, release)


class _Shape:
    """The records that a type can hold: their fields with their types, and the types of a list's items."""

    def __init__(self, record: Any, fields: dict[str, Any] | None, items: tuple[Any, ...]) -> None:
        self.record = record
        self.fields = fields
        self.items = items

    @cached_property
    def nested(self) -> list[tuple[str, Any]]:
        """The fields that hold records; found late, because some records hold their like."""
        return [(name, kind) for name, kind in (self.fields or {}).items() if _shape(kind) is not None]


@cache
def _shape(kind: Any) -> _Shape | None:
    """Return what records a type can hold; None when it holds none, or may hold anything."""
    members = [part for part in _members(kind) if part is not NoneType]
    if any(part is Any or get_origin(part) is dict or part is dict for part in members):
        return None
    fields: dict[str, Any] = {}
    records = [part for part in members if _is_record(part)]
    for record in records:
        fields |= _fields(getattr(get_origin(record) or record, "WHOLE", None)) | _fields(record)
    items = tuple(get_args(part)[0] for part in members if get_origin(part) is list)
    if not records and not any(_shape(item) is not None for item in items):
        return None
    return _Shape(records[-1] if records else None, fields if records else None, items)


def _fields(record: Any) -> dict[str, Any]:
    """Return the fields of a record; of a part of one that clients send whole, ``WHOLE`` names the rest."""
    return {each.encode_name: each.type for each in msgspec.structs.fields(record)} if record else {}


def _members(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself; annotations of limits are looked through."""
    if hasattr(kind, "__metadata__"):
        return _members(get_args(kind)[0])
    args = get_args(kind)
    if args and not _is_record(kind) and get_origin(kind) not in (list, dict, tuple, Literal):
        return tuple(member for part in args for member in _members(part))
    return (kind,)


def _is_record(kind: Any) -> bool:
    plain = get_origin(kind) or kind
    return isinstance(plain, type) and issubclass(plain, msgspec.Struct)
