"""Dependencies are declared once: pyproject, environment.yml and the pins never disagree."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = DECLARED["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
CONDA_NAMES = {
    "psycopg[binary]": "psycopg",
    "uvicorn[standard]": "uvicorn-standard",
}  # spelled otherwise on conda-forge
ASKED_FOR = {"jupyterlab", "pandas", "numpy", "scipy", "matplotlib", "papermill", "requests", "nbval"}


def requirements() -> list[Requirement]:
    """Return what the project declares, extras included."""
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + [line for extra in extras.values() for line in extra]
    return [Requirement(line) for line in lines if not line.startswith(PROJECT["name"])]


def conda_spec(requirement: Requirement) -> str:
    """Return a requirement as environment.yml spells it."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    name = requirement.name + extras
    return CONDA_NAMES.get(name, name) + ",".join(sorted(map(str, requirement.specifier), reverse=True))


def conda_lines() -> set[str]:
    """Return the requirements of environment.yml, those that only pip has included."""
    pip = next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
    lines = [entry for entry in CONDA["dependencies"] if isinstance(entry, str)] + pip
    return {line for line in lines if not line.startswith(("python", "pip", "-e"))} | {
        line for line in lines if line.startswith("python-multipart")
    }


def test_conda_environment_equals_the_project() -> None:
    """environment.yml lists exactly the project's dependencies with the same ranges."""
    assert conda_lines() == {conda_spec(requirement) for requirement in requirements()}


def test_conda_python_equals_the_project() -> None:
    """The interpreter range is the same too."""
    python = next(e for e in CONDA["dependencies"] if isinstance(e, str) and re.match(r"python[<>=]", e))
    assert set(python.removeprefix("python").split(",")) == set(PROJECT["requires-python"].split(","))


def test_every_dependency_is_pinned_inside_its_range() -> None:
    """constraints.txt, the one place of pins, pins each direct dependency to a version its range allows.

    So it does with what builds the package and what looks at its images.
    """
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    tools = (
        DECLARED["build-system"]["requires"]
        + DECLARED["dependency-groups"]["images"]
        + DECLARED["dependency-groups"]["docs"]
    )
    for requirement in [*requirements(), *map(Requirement, tools)]:
        assert requirement.specifier.contains(pins[requirement.name.lower()], prereleases=True), requirement


def pins(name: str) -> dict[str, str]:
    """Return the pinned versions of a file."""
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def locked(name: str) -> dict[str, tuple[Requirement, int]]:
    """Return the requirements of a lock, by name, each with the number of its files' hashes."""
    found: dict[str, tuple[Requirement, int]] = {}
    for entry in (ROOT / "locks" / f"{name}.txt").read_text().replace("\\\n", " ").splitlines():
        if not entry.startswith("#"):
            said, *hashes = entry.split("--hash=sha256:")
            requirement = Requirement(said)
            assert requirement.name not in found, f"{requirement.name} is locked twice"
            found[requirement.name] = requirement, len([each for each in hashes if len(each.strip()) == 64])
    return found


@pytest.mark.parametrize("name", ["docs", "env", "images", "supply-chain"])
def test_a_lock_holds_the_pins_and_the_hashes_of_their_files(name: str) -> None:
    """The versions of constraints.txt, whatever the Python: no other one for the oldest that is promised."""
    ours = pins("constraints.txt")
    for requirement, n_hashes in locked(name).values():
        assert str(requirement.specifier) == f"=={ours[requirement.name]}", f"{requirement}; run make locks"
        assert n_hashes > 0, requirement


def test_the_environment_is_locked_whole() -> None:
    """What the project declares, and what builds it: pip looks for nothing else.

    The extra ``tables`` is large, and the tests do without it.
    """
    built_by = Requirement(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"][0]
    )
    names = {requirement.name.lower() for requirement in [*requirements(), built_by]}
    names -= {Requirement(line).name for line in PROJECT["optional-dependencies"]["tables"]}
    assert names <= set(locked("env")), "run make locks"


def test_every_licence_is_known() -> None:
    """Each package says which it has, but for the vendor's SDK, which only the tests use."""
    command = [sys.executable, ROOT / "deploy" / "list-licences"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) > 100
    assert {line.split()[0] for line in lines if "says nothing" in line} == {"streamsets"}


def test_the_environment_of_the_3x_sdk_differs_in_the_sdk_alone() -> None:
    """What both files pin, they pin to the same version, but for the SDK itself."""
    ours, theirs = pins("constraints.txt"), pins("constraints-sdk3.txt")
    different = {name for name, version in theirs.items() if ours.get(name, version) != version}
    assert different == {"streamsets"}
    assert theirs["streamsets"] == "3.12.2"


def test_the_packages_the_user_asked_for_are_there() -> None:
    """The named packages are direct dependencies, not accidents, and the environment has them all."""
    assert {requirement.name for requirement in requirements()} >= ASKED_FOR
