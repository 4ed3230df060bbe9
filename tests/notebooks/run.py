"""Run every notebook on a small run of its own: as a test (nbval), or into a folder to look at (papermill).

``make notebooks`` and ``make report`` call this. Each notebook gets parameters for a short run in a fresh
folder, so that a run of the user's own under ``runs/`` is left alone.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from psrlib.run import stop_run

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ("study", "generate", "populate", "verify", "collect")  # verify and collect read what populate left


def parameters(name: str, folder: Path) -> dict[str, Any]:
    """Return the values for a short run, for those parameters that the notebook declares."""
    values = {
        "num_orgs": 3,
        "run_dir": str(folder / "run"),
        "model_path": str(folder / "model.json"),
        "output_dir": str(folder / "collected"),
    }
    declared = papermill.inspect_notebook(str(ROOT / "notebooks" / f"{name}.ipynb"))
    return {key: value for key, value in values.items() if key in declared}


def run_test(name: str, folder: Path) -> int:
    """Execute one notebook as a test: every cell, assertions included, without comparing outputs."""
    notebook = load_notebook_node(str(ROOT / "notebooks" / f"{name}.ipynb"))
    copy = folder / f"{name}.ipynb"
    nbformat.write(parameterize_notebook(notebook, parameters(name, folder)), copy)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-cell-timeout=300",
    ]
    return subprocess.run(
        [*command, "-p", "no:doctest", "-o", "addopts=-q", str(copy)], cwd=ROOT, check=False
    ).returncode


def run_report(name: str, folder: Path) -> int:
    """Execute one notebook with papermill and keep the result with its plots."""
    source = ROOT / "notebooks" / f"{name}.ipynb"
    papermill.execute_notebook(
        str(source), str(folder / f"{name}.ipynb"), parameters(name, folder), cwd=str(source.parent)
    )
    return 0


def main() -> None:
    """Run all notebooks in the order of the work; stop at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, help="folder for executed notebooks instead of a test run")
    arguments = parser.parse_args()
    folder = (arguments.report or ROOT / "build" / "notebooks").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in NAMES:
        try:
            status = (run_report if arguments.report else run_test)(name, folder)
        finally:
            stop_run(folder / "run")  # nbval kills the kernel, which then stops nothing itself
        if status:
            sys.exit(status)


if __name__ == "__main__":
    main()
