"""What a handler takes and gives, read from its signature: path values, query parameters, body, answer."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from psrlib.hub.web.issues import bad_request

INT64 = 2**63 - 1
MAX_TEXT = 4096  # characters of a query parameter; SQLite searches for at most 50,000 bytes
Kind = Literal["text", "texts", "integer", "boolean"]
_KINDS: dict[Any, Kind] = {str: "text", int: "integer", bool: "boolean", list[str]: "texts"}


@dataclass(frozen=True)
class Named:
    """The name of a query parameter on the wire, where it is not the argument's in camel case."""

    name: str


@dataclass(frozen=True)
class Parameter:
    """One query parameter; unknown parameters are ignored, as a real hub does."""

    name: str
    kind: Kind = "text"
    default: Any = None

    def read(self, raw: Mapping[str, str], pairs: Sequence[tuple[str, str]]) -> Any:
        """Return the typed value of the parameter; booleans in any spelling of case.

        Raises
        ------
        IssueError
            400 naming the parameter, what was expected and what was received.
        """
        if self.kind == "texts":
            return [self._text(value) for name, value in pairs if name == self.name]
        value = raw.get(self.name)
        if value is None or value == "":
            return self.default
        if self.kind == "text":
            return self._text(value)
        if self.kind == "boolean":
            if value.lower() not in ("true", "false"):
                raise bad_request(f"query parameter {self.name}: expected true or false, received {value!r}")
            return value.lower() == "true"
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or abs(number) > INT64:
            raise bad_request(f"query parameter {self.name}: expected an integer, received {value[:40]!r}")
        return number

    def _text(self, value: str) -> str:
        if "\x00" in value:
            raise bad_request(f"query parameter {self.name} holds a NUL character")
        if len(value) > MAX_TEXT:
            raise bad_request(f"query parameter {self.name} has more than {MAX_TEXT} characters")
        return value


@dataclass(frozen=True)
class Signature:
    """How a handler is called.

    Attributes
    ----------
    path : tuple of str
        Arguments that are ``{names}`` of the path.
    single : dict
        Argument to its query parameter.
    groups : dict
        Argument to the record it takes, and the record's fields with their query parameters.
    body, returns : type or None
        What the body is decoded to, and what the handler gives; None for none.
    """

    path: tuple[str, ...]
    single: dict[str, Parameter]
    groups: dict[str, tuple[type[msgspec.Struct], dict[str, Parameter]]]
    body: Any
    returns: Any

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All query parameters, in the order of the arguments."""
        grouped = [parameter for _, fields in self.groups.values() for parameter in fields.values()]
        return (*grouped, *self.single.values())

    def organization(self, path: Mapping[str, str], raw: Mapping[str, str]) -> str | None:
        """Return the organization that a call names, in the path or in a query parameter that is read."""
        read = any(parameter.name == "organization" for parameter in self.parameters)
        return path.get("org") or (raw.get("organization") or None if read else None)

    def arguments(
        self, path: Mapping[str, str], raw: Mapping[str, str], pairs: Sequence[tuple[str, str]]
    ) -> dict[str, Any]:
        """Return the handler's arguments from path and query; see `Parameter.read`."""
        found: dict[str, Any] = {name: path[name] for name in self.path}
        for name, parameter in self.single.items():
            found[name] = parameter.read(raw, pairs)
        for name, (record, fields) in self.groups.items():
            found[name] = record(**{field: parameter.read(raw, pairs) for field, parameter in fields.items()})
        return found


def read_signature(handler: Callable[..., Any], path: str) -> Signature:
    """Return the signature of a handler of ``path``.

    The first argument is the call. Of the others, those that the path names are its values, ``body`` is the
    body, a record takes a group of query parameters, one a field, and the rest are query parameters. Names
    are in camel case on the wire unless a record's field or `Named` says otherwise.

    Raises
    ------
    TypeError
        When an argument's type is none a query parameter can have.
    """
    hints = get_type_hints(handler, include_extras=True)
    in_path = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    single: dict[str, Parameter] = {}
    groups: dict[str, tuple[type[msgspec.Struct], dict[str, Parameter]]] = {}
    arguments = list(inspect.signature(handler).parameters.values())[1:]
    for argument in arguments:
        hint = hints[argument.name]
        if argument.name in in_path or argument.name == "body":
            continue
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            groups[argument.name] = (hint, _fields(hint))
        else:
            default = None if argument.default is inspect.Parameter.empty else argument.default
            single[argument.name] = _parameter(argument.name, hint, default)
    taken = {argument.name for argument in arguments}
    returns = hints.get("return")
    return Signature(
        tuple(name for name in in_path if name in taken),
        single,
        groups,
        hints.get("body"),
        None if returns is NoneType else returns,
    )


def _fields(record: type[msgspec.Struct]) -> dict[str, Parameter]:
    return {
        field.name: Parameter(
            field.encode_name, _kind(field.name, field.type), None if field.required else field.default
        )
        for field in msgspec.structs.fields(record)
    }


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        name = next((extra.name for extra in extras if isinstance(extra, Named)), name)
    first, *rest = name.split("_")
    return Parameter(first + "".join(word.title() for word in rest), _kind(name, hint), default)


def _kind(name: str, hint: Any) -> Kind:
    if get_origin(hint) in (Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not NoneType)
    if hint not in _KINDS:
        raise TypeError(f"argument {name}: {hint} is no type of a query parameter")
    return _KINDS[hint]
