"""Write the real tables that the bench fits: counts of public things that have nothing to do with hubs.

They are skewed and tied together as production's counts are, and nobody here made them. Columns bear names of
metrics, because a fit wants some; what is counted says data/README.md. Needs a Debian machine with package
lists (``apt-get update``), and a Python with its standard library.
"""

import ast
import subprocess
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

MOST = 2000  # rows of a table: the first ones in an order that says nothing
HERE = Path(__file__).parent


def stanzas() -> Iterator[dict[str, str]]:
    """Yield the packages of the Debian lists of this machine."""
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    for stanza in text.split("\n\n"):
        lines = [line.split(": ", 1) for line in stanza.split("\n") if ": " in line and line[0] != " "]
        if lines:
            yield {line[0]: line[1] for line in lines}


def n_named(package: dict[str, str], field: str) -> int:
    """Return how many packages a relation names."""
    return len(package[field].split(",")) if field in package else 0


def debian(key: str) -> pd.DataFrame:
    """Return counts per maintainer or source package."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    sources, sections = defaultdict(set), defaultdict(set)
    for package in stanzas():
        source = package.get("Source", package["Package"]).split(" ")[0]
        one = source if key == "source" else package.get("Maintainer", "")
        sources[one].add(source)
        sections[one].add(package.get("Section", ""))
        found = counts[one]
        found["jobs"] += 1
        found["active_jobs"] += package.get("Architecture") != "all"
        found["engines"] += n_named(package, "Depends")
        found["connections"] += n_named(package, "Recommends") + n_named(package, "Suggests")
        found["topologies"] += n_named(package, "Provides")
        found["scheduled_tasks"] += n_named(package, "Breaks")
        found["groups"] += n_named(package, "Tag")
    rows = {
        one: {"pipelines": len(sources[one]), "users": len(sections[one]), **found}
        for one, found in counts.items()
    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return frame.drop(columns="pipelines") if key == "source" else frame


def python() -> pd.DataFrame:
    """Return counts per module of the standard library with a function, so that the rules of a hub hold."""
    rows = {}
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        try:
            nodes = list(ast.walk(ast.parse(path.read_bytes())))
        except (SyntaxError, ValueError):  # test data that is wrong on purpose
            continue
        kinds = Counter(type(node).__name__ for node in nodes)
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        if not functions:
            continue
        rows[str(path.relative_to(root))] = {
            "jobs": len(functions),
            "active_jobs": sum(ast.get_docstring(function) is not None for function in functions),
            "pipelines": 1 + kinds["ClassDef"],
            "users": 1 + kinds["Import"] + kinds["ImportFrom"],
            "engines": kinds["If"],
            "connections": kinds["Call"],
            "scheduled_tasks": kinds["For"] + kinds["While"],
            "subscriptions": kinds["Try"],
            "groups": kinds["Return"],
        }
    return pd.DataFrame.from_dict(rows, orient="index")


for name, table in (
    ("debian_maintainers", debian("maintainer")),
    ("debian_sources", debian("source")),
    ("python_modules", python()),
):
    chosen = table.fillna(0).astype(int).sample(min(MOST, len(table)), random_state=0)
    chosen.to_csv(HERE / f"{name}.csv.gz", index=False, compression={"method": "gzip", "mtime": 0})
    print(name, chosen.shape, chosen.max().to_dict())
