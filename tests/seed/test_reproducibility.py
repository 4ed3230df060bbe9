"""The same bytes on every supported Python, numpy and processor (design.md, section 5).

Digests are pinned in ``tests/golden/seed/digests.json``; ``--update-golden`` rewrites them for review. Other
interpreters get numpy, orjson and msgspec at the pinned versions into a cache folder (long set). Where no
package can be had, the standard-library part still runs there, and a warning says that it was only that.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import reference, reproduce

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "seed"
DIGESTS = GOLDEN / "digests.json"
REPRODUCE, REFERENCE = Path(reproduce.__file__), Path(reference.__file__)
MODELS = [GOLDEN / "rich.json", *sorted((ROOT / "data" / "models").glob("*.json"))]
NEEDED = ("numpy", "orjson", "msgspec")
CACHE = Path(tempfile.gettempdir()) / f"psr-test-packages-{os.getuid()}"
TIMEOUT_S = 120


def interpreters() -> list[str]:
    """Return one interpreter per supported minor version found besides the running one."""
    found: dict[str, str] = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in ("3.11", "3.12", "3.13"):
        candidates = [shutil.which(f"python{minor}"), *pyenv.glob(f"{minor}.*/bin/python")]
        for candidate in filter(None, candidates):
            version = run([str(candidate), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
            if version == minor:
                found.setdefault(minor, str(candidate))
    found.pop("{}.{}".format(*sys.version_info), None)
    return list(found.values())


def run(command: list[str], **environment: str) -> str:
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=tempfile.gettempdir(),
        env={**os.environ, **environment},
    )
    return result.stdout if result.returncode == 0 else f"failed: {result.stderr}"


def digests(interpreter: str, packages: Path | None = None, **environment: str) -> dict[str, dict[str, str]]:
    """Return what ``reproduce.py`` prints there: model, then name and digest."""
    path = os.pathsep.join(str(folder) for folder in (packages, ROOT) if folder)
    output = run([interpreter, str(REPRODUCE), *map(str, MODELS)], PYTHONPATH=path, **environment)
    assert not output.startswith("failed"), output
    found: dict[str, dict[str, str]] = {}
    for line in output.splitlines():
        model, name, digest = line.split()
        found.setdefault(model, {})[name] = digest
    return found


def packages_for(interpreter: str, *requirements: str) -> Path | None:
    """Return a folder with the needed packages, filled when first used; None where none can be had."""
    version = run([interpreter, "-c", "import sys; print(sys.version)"])
    pins = [line for line in (ROOT / "constraints.txt").read_text().split() if line.split("==")[0] in NEEDED]
    wanted = [next((r for r in requirements if r.startswith(pin.split("==")[0])), pin) for pin in pins]
    name = hashlib.sha256("\n".join([version, *wanted]).encode()).hexdigest()[:16]
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(mode=0o700, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=CACHE))
        command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        output = run([*command, "--only-binary=:all:", "--target", str(unfinished), *wanted])
        if output.startswith("failed"):
            shutil.rmtree(unfinished)
            return None
        unfinished.rename(folder)
    return folder


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(DIGESTS.read_text())


def test_digests_are_the_golden_ones(golden: dict[str, Any], update_golden: bool) -> None:
    """Whoever changes what a random seed gives, changes a golden file too, and raises GENERATOR."""
    got = digests(sys.executable)
    if update_golden:
        DIGESTS.write_text(json.dumps(got, indent=1) + "\n")
    else:
        assert got == golden, "if this is meant: pytest tests/seed --update-golden"


@pytest.mark.long
def test_other_interpreters_give_the_same_bytes(golden: dict[str, Any]) -> None:
    """Golden digests and the plain algorithm on each other supported Python of this machine."""
    for interpreter in interpreters():
        assert run([interpreter, str(REFERENCE)]).splitlines() == reference.lines()
        packages = packages_for(interpreter)
        if packages is None:
            warnings.warn(f"{interpreter}: no packages to be had, only the algorithm ran", stacklevel=1)
        else:
            assert digests(interpreter, packages) == golden


def processor_features() -> list[str]:
    """Return what numpy could use besides its baseline on this processor."""
    core = np._core._multiarray_umath
    return [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]


@pytest.mark.parametrize(
    "environment",
    [
        {"NPY_DISABLE_CPU_FEATURES": " ".join(processor_features())},
        {"NPY_DISABLE_CPU_FEATURES": " ".join(f for f in processor_features() if "512" in f or "V4" in f)},
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_CORETYPE": "Haswell"},
        {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F,-FMA4", "PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "2", "LC_ALL": "C", "TZ": "Asia/Kathmandu"},
    ],
    ids=["no-vectors", "no-avx512", "blas-prescott", "blas-haswell", "libm-without-fma", "hash-and-locale"],
)
def test_processors_and_environments_do_not_matter(
    environment: dict[str, str], golden: dict[str, Any]
) -> None:
    """Vector units, BLAS kernels, the C library's mathematics, hash seed and locale switched one by one."""
    assert digests(sys.executable, **environment) == golden


@pytest.mark.long
def test_the_oldest_numpy_gives_the_same_bytes(golden: dict[str, Any]) -> None:
    """The lower bound of pyproject.toml, on the running interpreter."""
    packages = packages_for(sys.executable, "numpy==2.0.0")
    assert packages is not None, "numpy 2.0.0 can't be installed here"
    path = os.pathsep.join((str(packages), str(ROOT)))
    version = run([sys.executable, "-c", "import numpy; print(numpy.__version__)"], PYTHONPATH=path)
    assert version.strip() == "2.0.0"
    assert digests(sys.executable, packages) == golden
