"""Notebook parameters that are not declared stop the notebook."""

import pytest

from psrlib.errors import InputError
from psrlib.parameters import check_parameters


def namespace(**values: object) -> dict[str, object]:
    return {
        "__annotations__": {"seed": int, "run_dir": str},
        "In": [],
        "_i1": "",
        "seed": 1,
        "run_dir": "",
        **values,
    }


def test_declared_parameters_pass() -> None:
    """What the parameters cell declares is accepted, IPython's own names are ignored."""
    declared = namespace(seed=7)
    check_parameters(declared)
    assert declared["seed"] == 7


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sed": 7}, "unknown notebook parameter 'sed'; this notebook has: seed, run_dir"),
        ({"seed": "seven"}, "'seed': expected int, got str"),
        ({"seed": True}, "'seed': expected int, got bool"),
        ({"run_dir": 7}, "'run_dir': expected str, got int"),
    ],
    ids=["unknown-name", "text-for-int", "bool-for-int", "int-for-text"],
)
def test_other_parameters_are_refused(values: dict[str, object], words: str) -> None:
    """The message names the parameter and what was expected."""
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        check_parameters(namespace(**values))
