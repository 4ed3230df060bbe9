"""Conditions of event subscriptions: the part of the expression language that is understood."""

import re
from collections.abc import Callable

_TEXT = r"(?:'([^']*)'|\"([^\"]*)\")"
_CONDITION = re.compile(rf"(\w+)\s*(==|!=)\s*{_TEXT}")
_FUNCTION = re.compile(rf"(!?)\s*str:(contains|startsWith|endsWith)\(\s*(\w+)\s*,\s*{_TEXT}\s*\)")
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": str.__contains__,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}


def matches(text: str | None, values: dict[str, str]) -> bool:
    """Tell whether a filter such as ``${JOB_ID=='...'}`` holds.

    The conditions are ``NAME=='text'``, ``NAME!='text'`` and ``str:contains(NAME, 'text')`` with its kin
    ``str:startsWith`` and ``str:endsWith``, joined by ``&&`` or ``||`` (``&&`` binds tighter), in braces as
    ``${...}`` or ``${{...}}`` or without; any other expression holds for nothing.

    Examples
    --------
    >>> matches("${{JOB_ID=='a' && JOB_STATUS!='ACTIVE'}}", {"JOB_ID": "a", "JOB_STATUS": "INACTIVE"})
    True
    >>> matches("${str:contains(TO_STATUS, 'INACTIVE')}", {"TO_STATUS": "INACTIVE_ERROR"})
    True
    >>> matches("${{JOB_ID=='b'}}", {"JOB_ID": "a"})
    False
    """
    if text is None or not text.strip():
        return True
    body = text.strip()
    for opening, closing in (("${{", "}}"), ("${", "}")):
        if body.startswith(opening) and body.endswith(closing):
            body = body[len(opening) : -len(closing)]
            break
    return any(all(_holds(part, values) for part in clause.split("&&")) for clause in body.split("||"))


def _holds(part: str, values: dict[str, str]) -> bool:
    part = part.strip()  # not by the patterns: two runs of blanks side by side match in quadratic time
    found = _CONDITION.fullmatch(part)
    if found is not None:
        name, operator, single, double = found.groups()
        equal = values.get(name) == (double if single is None else single)
        return equal if operator == "==" else not equal
    found = _FUNCTION.fullmatch(part)
    if found is None:
        return False
    negation, test, name, single, double = found.groups()
    return _TESTS[test](values.get(name, ""), double if single is None else single) != bool(negation)
