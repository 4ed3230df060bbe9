"""Notebook parameters: stop at a name or a type that the notebook does not declare.

Papermill passes an unknown ``-p name value`` on with a warning only, so that a typing error would run the
notebook with its default. The parameters cell declares ``name: type = value``; Python keeps those names and
types in ``__annotations__``, and whatever else papermill injected is not among them.
"""

from typing import Any

from psrlib.errors import InputError

HINTS = {bool: "write True or False", int: "write a whole number", str: "pass it with papermill's -r"}
NOTEBOOK_NAMES = {"In", "Out", "exit", "quit", "open", "get_ipython"}  # what IPython itself defines


def check_parameters(namespace: dict[str, Any]) -> None:
    """Check the notebook's names; call it first in the setup cell, before anything else is defined.

    Parameters
    ----------
    namespace : dict
        The notebook's ``globals()``.

    Raises
    ------
    InputError
        If a name was passed that the parameters cell does not declare, or a value of another type.

    Examples
    --------
    >>> check_parameters({"__annotations__": {"seed": int}, "seed": 7})
    """
    declared: dict[str, type] = namespace.get("__annotations__", {})
    known = ", ".join(declared)
    for name, value in namespace.items():
        if name.startswith("_") or name in NOTEBOOK_NAMES or name == "check_parameters":
            continue
        if name not in declared:
            raise InputError(f"unknown notebook parameter {name!r}; this notebook has: {known}")
        if type(value) is not declared[name]:
            raise InputError(
                f"notebook parameter {name!r}: expected {declared[name].__name__}, got "
                f"{type(value).__name__} ({value!r}); {HINTS.get(declared[name], 'see the parameters cell')}"
            )
