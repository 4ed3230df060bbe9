"""The order of imports in `docs/architecture.md` holds: a module imports only from the rooms before it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psrlib

ROOT = Path(psrlib.__file__).parent
LAYERS = (
    "errors",
    "files",
    "yaml_file",
    "lock",
    "process",
    "paths",
    "cron",
    "words",
    "bounds",
    "decoders",
    "arrays",
    "scale",
    "stats",
    "model",
    "seed",
    "hub",
    "client",
    "engines",
    "state",
    "worker",
    "cluster",
    "fleets",
    "run",
    "doctor",
    "verify",
    "collect",
    "watch",
    "plots",
    "parameters",
    "cli",
)
HUB_ROOMS = (
    "store",
    "web",
    "security",
    "events",
    "designs",
    "runner",
    "apps",
    "catalog",
    "server",
    "process",
)
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
HUB_MODULES = [module for module in MODULES if module.parts[0] == "hub"]


def dotted(module: Path) -> str:
    """Return the name that a module is imported by."""
    return ".".join(("psrlib", *module.with_suffix("").parts)).removesuffix(".__init__")


NAMES = {dotted(module) for module in MODULES}


@cache
def imported(module: Path) -> frozenset[str]:
    """Return the modules of psrlib that a module imports: also inside functions and under TYPE_CHECKING."""
    return frozenset(name for name in names_imported(module) if name.startswith("psrlib."))


def names_imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in NAMES else node.module for name in inside]
        else:
            continue
        yield from names


def imported_layers(module: Path) -> set[str]:
    """Return the layers of psrlib that a module imports."""
    return {name.split(".")[1] for name in imported(module)}


def test_a_module_imports_only_from_layers_before() -> None:
    """Each module's layer comes after all the layers that it imports."""
    for module in MODULES:
        layer = module.parts[0].removesuffix(".py")
        allowed = set(LAYERS[: LAYERS.index(layer) + 1])
        assert imported_layers(module) <= allowed, module


def test_the_hub_shares_nothing_but_the_ground() -> None:
    """A serializer shared by hub and client would make a wrong field name right on both sides."""
    for module in HUB_MODULES:
        assert imported_layers(module) <= {"hub", "decoders", "errors", "files", "lock", "process"}, module


def test_hub_client_and_engines_do_not_import_each_other() -> None:
    """They meet on the wire only."""
    for module in MODULES:
        if (own := module.parts[0]) in ("client", "engines"):
            assert not imported_layers(module) & ({"hub", "client", "engines"} - {own}), module


def test_a_room_of_the_hub_imports_only_from_rooms_before() -> None:
    """Each room comes after all the rooms that it imports."""
    wrong = []
    for module in HUB_MODULES:
        room = module.parts[1].removesuffix(".py")
        allowed = HUB_ROOMS[: HUB_ROOMS.index(room) + 1] if room in HUB_ROOMS else ()
        used = {name.split(".")[2] for name in imported(module) if name.startswith("psrlib.hub.")}
        wrong += [f"{module} imports {name}" for name in sorted(used - set(allowed))]
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """No loop anywhere in psrlib, also not inside functions or under TYPE_CHECKING."""
    left = {dotted(module): set(imported(module)) - {dotted(module)} for module in MODULES}
    while ready := [name for name, used in left.items() if not used & left.keys()]:
        for name in ready:
            del left[name]
    assert left == {}
