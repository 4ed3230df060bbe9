"""The import order of design and README holds: a module imports only from the layers above it."""

import ast
from pathlib import Path

import pytest

import psrlib

ROOT = Path(psrlib.__file__).parent
LAYERS = (
    "errors",
    "paths",
    "stats",
    "model",
    "seed",
    "hub",
    "client",
    "engines",
    "state",
    "run",
    "verify",
    "collect",
    "plots",
    "parameters",
    "cli",
)
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def imported_layers(path: Path) -> set[str]:
    """Return the layers of psrlib that a module imports, wherever the import stands."""
    layers = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = (
                [node.module] if node.module != "psrlib" else [f"psrlib.{alias.name}" for alias in node.names]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        layers |= {name.split(".")[1] for name in names if name.startswith("psrlib.")}
    return layers


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_from_layers_above(module: Path) -> None:
    """Each module's layer comes after all the layers that it imports."""
    layer = module.parts[0].removesuffix(".py")
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    assert imported_layers(ROOT / module) <= allowed


@pytest.mark.parametrize("module", [m for m in MODULES if m.parts[0] == "hub"], ids=str)
def test_the_hub_shares_nothing_but_errors(module: Path) -> None:
    """A serializer shared by hub and client would make a wrong field name right on both sides."""
    assert imported_layers(ROOT / module) <= {"hub", "errors"}


@pytest.mark.parametrize("module", [m for m in MODULES if m.parts[0] in ("client", "engines")], ids=str)
def test_hub_client_and_engines_do_not_import_each_other(module: Path) -> None:
    """They meet on the wire only."""
    own = module.parts[0]
    assert not imported_layers(ROOT / module) & ({"hub", "client", "engines"} - {own})
