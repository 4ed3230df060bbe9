"""The kit works installed, away from its checkout: from the wheel that the source distribution builds."""

import json
import os
import resource
import socket
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from psrlib import paths
from psrlib.seed import create_seed_file

ROOT = Path(__file__).parent.parent
UV = Path(sysconfig.get_path("scripts")) / "uv"
RUN = "runs/19071990-2"
PYTHONS = ("3.11", "3.12", "3.13")
PROCESSOR_S = 0.5  # of `psr create-json` of ten organizations


def call(command: list[str | Path], folder: Path, status: int = 0) -> str:
    """Run a command in a folder, with nothing of this checkout on its path; return what it printed."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PSR_HOME")}
    done = subprocess.run(
        command, cwd=folder, env=kept, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution and not from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    call([UV, "build", "--quiet", "--out-dir", folder, ROOT], folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an empty environment with the wheel in it, without the notebooks' stack."""
    folder = tmp_path_factory.mktemp("environment") / "of its own"
    call([UV, "venv", "--quiet", "--python", sys.executable, folder], folder.parent)
    install(folder, str(wheel))
    return folder / "bin"


def install(environment: Path, what: str) -> None:
    command = [UV, "pip", "install", "--quiet", "--compile-bytecode"]  # as pip does
    command += ["--python", environment / "bin" / "python"]
    call([*command, "--constraint", ROOT / "constraints.txt", what], environment.parent)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, environment: Path) -> Iterator[Path]:
    """A working directory with a space in its name, and a run in it that is stopped at the end."""
    folder = tmp_path_factory.mktemp("work") / "a b"
    folder.mkdir()
    yield folder
    if (folder / RUN).exists():
        call([environment / "psr", "engines", "stop", f"{RUN}/seed.json"], folder)
        call([environment / "psr", "hub", "stop", "--run-dir", RUN], folder)


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file()}


def test_the_wheel_holds_the_data_once_and_is_small(wheel: Path) -> None:
    """Models, sample stats, notebooks and templates are in it, each once; under 2 MB."""
    assert wheel.stat().st_size < 2e6
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    for path in [*(ROOT / "data").rglob("*"), *(ROOT / "notebooks").glob("*.ipynb")]:
        if path.is_file() and "__pycache__" not in path.parts:
            assert names.count(f"psrlib/{path.relative_to(ROOT)}") == 1, path
    assert "psrlib/verify/templates/report.html" in names
    assert not any(name.startswith(("data/", "notebooks/", "tests/", "bench/")) for name in names)


def test_installed_it_runs_from_seed_to_verdict(environment: Path, work: Path) -> None:
    """The same seed bytes as here, a run in the working directory, nothing written into the installation."""
    psr, site = environment / "psr", environment.parent
    call([psr, "--help"], work)
    before = files(site)
    made = call([psr, "create-json", "--num-orgs", "2"], work)
    assert create_seed_file(paths.default_model(), 19071990, 2, work / "here.json", 1) in made
    call([psr, "populate", f"{RUN}/seed.json"], work)
    call([psr, "engines", "start", f"{RUN}/seed.json"], work)
    call([psr, "start-jobs", f"{RUN}/seed.json"], work)
    assert "Consistent" in call([psr, "verify", f"{RUN}/seed.json", "--report", "report"], work)
    assert (work / "report/report.html").stat().st_size > 10_000
    assert files(site) == before


def test_ten_organizations_take_half_a_second(environment: Path, work: Path) -> None:
    """Of the processor, from the command to the file."""
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        call([environment / "psr", "create-json", "-o", "ten.json"], work)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 1.5 * PROCESSOR_S, spent  # the machine of a test is busy


def test_installed_it_fits_a_model_and_draws_from_it(environment: Path, work: Path) -> None:
    """Stats make a model; its folder is a data-model root, with or without ``models/``."""
    psr = environment / "psr"
    (work / "stats").mkdir()
    rows = (paths.STATS / "sample" / "orgs.csv").read_text().splitlines(keepends=True)
    (work / "stats" / "orgs.csv").write_text("".join(rows[:150]))
    call([psr, "fit", "stats", "-o", "models/model.json", "--no-evaluate", "--n-archetypes", "2"], work)
    drawn = [
        call([psr, "create-json", "--num-orgs", "1", "-o", "x.json", "--data-model-root", root], work)
        for root in (".", "models")
    ]
    assert drawn[0] == drawn[1]
    assert "no noise model there; looked for models/model.json" in call(
        [psr, "create-json", "--data-model-root", "report"], work, status=2
    )


def test_installed_its_notebooks_run_from_any_folder(environment: Path, work: Path, wheel: Path) -> None:
    """`psr notebooks` copies them, the extra ``notebooks`` brings papermill, `PSR_HOME` holds the run."""
    install(environment.parent, f"psr-db-populator[notebooks] @ {wheel.as_uri()}")
    call([environment / "psr", "notebooks", "copies"], work)
    assert "exist already" in call([environment / "psr", "notebooks", "copies"], work, status=2)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        webhook = f"http://127.0.0.1:{probe.getsockname()[1]}/webhook"
    command = [environment / "papermill", "copies/populate.ipynb", "out.ipynb", "-p", "num_orgs", "1"]
    command += ["-p", "webhook_url", webhook]
    call(["env", f"PSR_HOME={work / 'elsewhere'}", *command], work)
    assert (work / "elsewhere/runs/19071990-1/report/report.html").exists()
    assert not (work / "runs/19071990-1").exists()


def python_of(version: str, folder: Path) -> str:
    """Return where this machine has a version of Python, also by way of pyenv; empty where it has none."""
    ask = "import sys; print(sys.executable)"
    command = ["env", f"PYENV_VERSION={version}", f"python{version}", "-c", ask]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout.strip()


@pytest.mark.long
def test_every_python_of_this_machine_runs_it(wheel: Path, tmp_path: Path) -> None:
    """Of those that are promised: the same seed bytes as here, and the whole notebook to its verdict."""
    digest = create_seed_file(paths.default_model(), 19071990, 2, tmp_path / "here.json", 1)
    pythons = {version: found for version in PYTHONS if (found := python_of(version, tmp_path))}
    print(f"run with Python {', '.join(pythons)} of {', '.join(PYTHONS)}")
    assert pythons
    for version, python in pythons.items():
        folder = tmp_path / version
        call([UV, "venv", "--quiet", "--python", python, folder], tmp_path)
        install(folder, f"psr-db-populator[notebooks] @ {wheel.as_uri()}")
        assert digest in call([folder / "bin/psr", "create-json", "--num-orgs", "2"], folder)
        call([folder / "bin/psr", "notebooks", "nb"], folder)
        call([folder / "bin/papermill", "nb/populate.ipynb", "out.ipynb", "-p", "num_orgs", "2"], folder)
        report = json.loads((folder / RUN / "report/report.json").read_text())
        assert report["consistent"], (version, report["verdict"])


@pytest.mark.long
def test_it_is_installed_as_a_tool(wheel: Path, tmp_path: Path) -> None:
    """As `uv tool install` does it: the command alone on the path."""
    places = [f"UV_TOOL_DIR={tmp_path / 'tools'}", f"UV_TOOL_BIN_DIR={tmp_path / 'bin'}"]
    constraints = ["--constraint", ROOT / "constraints.txt"]
    call(["env", *places, UV, "tool", "install", "--python", sys.executable, *constraints, wheel], tmp_path)
    assert {path.name for path in (tmp_path / "bin").iterdir()} == {"psr"}
    assert "10 organizations" in call([tmp_path / "bin/psr", "create-json", "-o", "ten.json"], tmp_path)
