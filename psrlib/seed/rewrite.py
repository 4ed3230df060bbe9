"""Rewriting a seed document for another environment: variables by name, fields by path and expression."""

import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from psrlib.bounds import MAX_TEXT
from psrlib.errors import InputError
from psrlib.seed.check import check_document
from psrlib.seed.document import Organization, SeedDocument
from psrlib.seed.variables import VARIABLE, known_variables, map_strings
from psrlib.words import KINDS
from psrlib.yaml_file import read_yaml, shown

ANY = "*"  # every key of a map, in a field path
PATIENCE_S = 5.0  # with an expression and one text, of 2,000 characters at most


@dataclass(frozen=True)
class VariableRule:
    """Give a variable another value."""

    variable: str
    value: str

    def __str__(self) -> str:
        return f"variable {self.variable}"


@dataclass(frozen=True)
class FieldRule:
    """Replace what an expression matches in the texts of one field of all entities of a kind.

    ``field`` is a path such as ``users.email``, ``connections.configuration.bucket`` or, for every key of a
    map, ``pipelines.parameters.*``; lists are followed into. ``replace`` may use groups, ``\\1``.
    """

    field: str
    pattern: re.Pattern[str]
    replace: str

    def __str__(self) -> str:
        return f"field {self.field}, pattern {self.pattern.pattern!r}"


Rule = VariableRule | FieldRule


def variable_rules(settings: Mapping[str, str]) -> list[Rule]:
    """Return the rules that ``--set NAME=VALUE`` stands for."""
    return [VariableRule(name, value) for name, value in settings.items()]


def load_rules(path: str | Path) -> list[Rule]:
    """Read rules from a YAML file: a list of ``{variable, value}`` and ``{field, pattern, replace}``.

    Raises
    ------
    InputError
        Naming file and rule: not YAML, an unknown or missing key, an expression that does not compile.
    """
    path = Path(path)
    content = read_yaml(path, "rules")
    if not isinstance(content, list) or not content:
        raise InputError(f"{path.name}: expected a list of rules, each with field or variable")
    return [_rule(entry, f"{path.name}: rule {number}") for number, entry in enumerate(content, start=1)]


def rewrite_seed(document: SeedDocument, rules: list[Rule]) -> tuple[SeedDocument, dict[str, int]]:
    """Apply rules in order; return the new document, checked, and the number of texts each rule concerns.

    For a field these are the changed texts, for a variable those that use it.

    Raises
    ------
    InputError
        If a variable or field is unknown, a rule matches nothing, a replacement names a group that the
        pattern lacks, or the result is no valid seed document.
    """
    counts = {}
    for rule in rules:
        if isinstance(rule, VariableRule):
            variables = {**document.variables, **known_variables(document, {rule.variable: rule.value})}
            document = structs.replace(document, variables=variables, sha256=None)
            counts[str(rule)] = _n_uses(document.organizations, rule.variable)
        else:
            document, counts[str(rule)] = _apply(document, rule)
            if not counts[str(rule)]:
                raise InputError(f"{rule}: matches nothing; correct the rule or leave it out")
    check_document(document, "rewritten document")
    return document, counts


def _rule(entry: Any, place: str) -> Rule:
    if not isinstance(entry, dict):
        raise InputError(f"{place}: expected field, pattern and replace, or variable and value")
    wanted = ["value", "variable"] if "variable" in entry else ["field", "pattern", "replace"]
    got = sorted(map(str, entry))
    if got != wanted:
        raise InputError(f"{place}: expected {', '.join(wanted)}; got {', '.join(got)}")
    for key, value in entry.items():
        if not isinstance(value, str):
            raise InputError(f"{place}: {key}: expected text, got {shown(value)}; put it in quotes")
        if len(value) > MAX_TEXT:
            raise InputError(f"{place}: {key}: {len(value)} characters; expected at most {MAX_TEXT}")
    if "variable" in entry:
        return VariableRule(entry["variable"], entry["value"])
    try:
        pattern = re.compile(entry["pattern"])
    except re.error as error:
        raise InputError(
            f"{place}: pattern {entry['pattern']!r} is not a regular expression ({error})"
        ) from error
    return FieldRule(entry["field"], pattern, entry["replace"])


def _apply(document: SeedDocument, rule: FieldRule) -> tuple[SeedDocument, int]:
    """Return the document with a field rule applied, and the number of texts that changed."""
    kind, *fields = rule.field.split(".")
    if kind not in KINDS:
        raise InputError(f"{rule}: unknown kind {kind!r}; expected one of {', '.join(KINDS)}")
    changed = 0

    def apply(value: Any, path: list[str]) -> Any:
        nonlocal changed
        if value is None:
            return None
        if isinstance(value, list):
            return [apply(item, path) for item in value]
        if isinstance(value, Struct):
            known = value.__struct_fields__
            if not path or path[0] not in known:
                raise InputError(f"{rule}: unknown field; {type(value).__name__} has {', '.join(known)}")
            return structs.replace(value, **{path[0]: apply(getattr(value, path[0]), path[1:])})
        if isinstance(value, dict) and path:
            return {k: apply(item, path[1:]) if path[0] in (k, ANY) else item for k, item in value.items()}
        if not isinstance(value, str) or path:
            raise InputError(f"{rule}: the field holds {type(value).__name__}; only text is rewritten")
        try:
            with _patience(rule):
                new = rule.pattern.sub(rule.replace, value)
        except (re.error, IndexError) as error:
            raise InputError(f"{rule}: replacement {rule.replace!r} does not fit ({error})") from error
        if len(new) > MAX_TEXT:  # a short expression may make much of a short text
            raise InputError(f"{rule}: makes a text of {len(new)} characters; expected at most {MAX_TEXT}")
        changed += new != value
        return new

    organizations = [
        structs.replace(organization, **{kind: apply(getattr(organization, kind), fields)})
        for organization in document.organizations
    ]
    return structs.replace(document, organizations=organizations, sha256=None), changed


@contextmanager
def _patience(rule: FieldRule) -> Iterator[None]:
    """Give up an expression that does not end: a stranger's may try more ways than there is time.

    Only the main thread of a process can be interrupted so; another one waits.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(*_: object) -> None:
        raise InputError(
            f"{rule}: not done with one text after {PATIENCE_S:g} s; write it with fewer repetitions"
        )

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _n_uses(organizations: list[Organization], variable: str) -> int:
    """Count the texts that use a variable."""
    found = 0

    def look(text: str) -> str:
        nonlocal found
        found += variable in VARIABLE.findall(text)
        return text

    map_strings(organizations, look)
    return found
