"""Variables: ``${name}`` in the strings of a seed document, given their values at populate time."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from psrlib.bounds import MAX_TEXT
from psrlib.errors import InputError
from psrlib.seed.decode import check_record
from psrlib.seed.document import SeedDocument
from psrlib.yaml_file import shown

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def resolve_variables(document: SeedDocument, overrides: Mapping[str, str] | None = None) -> SeedDocument:
    """Return the document with every ``${variable}`` replaced by its value, or by the one in ``overrides``.

    It is without digest, for its content is another one.

    Raises
    ------
    InputError
        If an override names a variable that the document lacks, or a string names one, or a text is then
        beyond its bound.
    """
    values = {**document.variables, **known_variables(document, overrides or {})}

    def replace(text: str) -> str:
        made = VARIABLE.sub(lambda match: _value(match.group(1), values), text)
        if len(made) > MAX_TEXT:  # at once: thousands of short texts may stand for gigabytes
            what = f"variables make {len(made)} characters of the text {shown(text)}"
            raise InputError(f"{what}; expected at most {MAX_TEXT}")
        return made

    organizations = []
    for organization in document.organizations:
        try:
            resolved = map_strings(organization, replace)
        except InputError as error:
            raise InputError(f'organization "{organization.id}": {error}') from error
        check_record(resolved, f'organization "{organization.id}", variables resolved')
        organizations.append(resolved)
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


def map_strings(value: Any, replace: Callable[[str], str]) -> Any:
    """Return a value with ``replace`` applied to each string that holds ``${``; what is equal is the same."""
    if isinstance(value, str):
        return replace(value) if "${" in value else value
    if isinstance(value, list):
        mapped = [map_strings(item, replace) for item in value]
        return mapped if any(a is not b for a, b in zip(mapped, value, strict=True)) else value
    if isinstance(value, dict):
        texts = {key: map_strings(item, replace) for key, item in value.items()}
        return texts if texts != value else value
    if isinstance(value, msgspec.Struct):
        old = msgspec.structs.asdict(value)
        new = {field: map_strings(item, replace) for field, item in old.items()}
        changes = {field: item for field, item in new.items() if item is not old[field]}
        return msgspec.structs.replace(value, **changes) if changes else value
    return value


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise InputError(f"unknown variable ${{{name}}}; the seed document has: {', '.join(sorted(values))}")
    return values[name]
