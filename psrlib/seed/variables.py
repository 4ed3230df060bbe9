"""Variables: ``${name}`` in the strings of a seed document, given their values at populate time."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from psrlib.errors import InputError
from psrlib.seed.document import SeedDocument

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
T = TypeVar("T")


def resolve_variables(document: SeedDocument, overrides: Mapping[str, str] | None = None) -> SeedDocument:
    """Return the document with every ``${variable}`` replaced by its value.

    Parameters
    ----------
    document : SeedDocument
    overrides : mapping of str to str, optional
        Values that take the place of the document's own.

    Returns
    -------
    SeedDocument
        Without digest, for its content is another one.

    Raises
    ------
    InputError
        If an override names a variable that the document lacks, or a string names one.
    """
    values = {**document.variables, **known_variables(document, overrides or {})}

    def replace(text: str) -> str:
        return VARIABLE.sub(lambda match: _value(match.group(1), values), text)

    organizations = [
        map_strings(organization, replace, f'organization "{organization.id}"')
        for organization in document.organizations
    ]
    return msgspec.structs.replace(document, variables=values, organizations=organizations, sha256=None)


def known_variables(document: SeedDocument, values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the values if the document has all these variables, else raise InputError."""
    for name, value in values.items():
        if name not in document.variables:
            raise InputError(
                f"unknown variable {name!r}; the seed document has: {', '.join(sorted(document.variables))}"
            )
        if not isinstance(value, str):
            raise InputError(f"variable {name!r}: expected text, got {value!r}")
    return values


def map_strings(value: T, replace: Callable[[str], str], place: str) -> T:
    """Return a record with ``replace`` applied to each string that holds ``$``; what is equal stays the same.

    Raises
    ------
    InputError
        Naming the place, if ``replace`` fails with one.
    """
    try:
        result: T = _map(value, replace)
        return result
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _map(value: Any, replace: Callable[[str], str]) -> Any:
    kind = type(value)
    if kind is str:
        return replace(value) if "${" in value else value
    if kind is list:
        mapped = [_map(item, replace) for item in value]
        return mapped if any(a is not b for a, b in zip(mapped, value, strict=True)) else value
    if kind is dict:
        texts = {key: _map(item, replace) for key, item in value.items()}
        return texts if texts != value else value
    if isinstance(value, msgspec.Struct):
        changes = {}
        for field in value.__struct_fields__:
            old = getattr(value, field)
            new = _map(old, replace)
            if new is not old:
                changes[field] = new
        return msgspec.structs.replace(value, **changes) if changes else value
    return value


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise InputError(f"unknown variable ${{{name}}}; the seed document has: {', '.join(sorted(values))}")
    return values[name]
