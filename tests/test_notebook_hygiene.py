"""Notebooks are committed clean, and each parameter is declared, listed by papermill and read by a cell."""

import ast
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
NOTEBOOKS = [path for path in NOTEBOOKS if not path.name.startswith("out")]
MAX_LINES = 8


def tags(cell: Any) -> list[str]:
    return list(cell["metadata"].get("tags", []))


def source(cell: Any) -> str:
    return "".join(cell["source"])


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def parameters(path: Path) -> list[str]:
    cell = next(cell for cell in code_cells(path) if "parameters" in tags(cell))
    return [node.target.id for node in ast.parse(source(cell)).body if isinstance(node, ast.AnnAssign)]


def test_the_five_notebooks_are_there() -> None:
    """A glob that finds nothing would make every test below pass."""
    assert {path.stem for path in NOTEBOOKS} >= {"study", "generate", "populate", "verify", "collect"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_empty(path: Path) -> None:
    """Outputs, execution counts and widget state are never committed."""
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code_cells(path))
    assert "widgets" not in json.loads(path.read_text())["metadata"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_parameter_is_listed_and_read(path: Path) -> None:
    """Papermill finds every parameter with its help text, and some later cell uses it."""
    import papermill  # brings a second of imports, in each process that collects the tests

    names = parameters(path)
    listed = papermill.inspect_notebook(str(path))
    assert list(listed) == names
    assert all(
        entry["help"] and entry["inferred_type_name"] in ("int", "str", "bool", "float")
        for entry in listed.values()
    )
    others = "\n".join(source(cell) for cell in code_cells(path) if "parameters" not in tags(cell))
    read = {node.id for node in ast.walk(ast.parse(others)) if isinstance(node, ast.Name)}
    assert set(names) <= read


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_ask_and_show(path: Path) -> None:
    """Logic lives in psrlib: code cells are short, define nothing and follow a sentence."""
    cells = json.loads(path.read_text())["cells"]
    for before, cell in itertools.pairwise(cells):
        if cell["cell_type"] != "code":
            continue
        lines = [line for line in source(cell).splitlines() if line.strip()]
        if not {"parameters", "setup"} & set(tags(cell)):
            assert len(lines) <= MAX_LINES, source(cell)
        assert not any(
            isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(ast.parse(source(cell)))
        )
        assert before["cell_type"] == "markdown" or {"parameters", "setup"} & set(tags(cell)), source(cell)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_unknown_parameters_stop_the_notebook(path: Path) -> None:
    """The first thing that the setup cell does is to check what papermill passed."""
    setup = source(code_cells(path)[1])
    assert "check_parameters(globals())" in setup.split("\n", 4)[:3]


def test_notebooks_reach_a_hub_alike() -> None:
    """What the commands take to reach a Control Hub, each notebook that needs one takes."""
    wanted = {"sch_url", "sch_username", "release", "credentials", "ca_bundle", "profile", "scheduler"}
    found = {path.stem: wanted & set(parameters(path)) for path in NOTEBOOKS}
    assert {name: names for name, names in found.items() if names} == dict.fromkeys(
        ("collect", "populate", "verify"), wanted
    )
