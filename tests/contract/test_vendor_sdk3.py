"""The vendor's 3.x SDK against the embedded hub: test_vendor_sdk.py in an environment of its own.

The SDK checks an activation key that only its users have; the check is left alone. Without a key the suite
is reported as not run.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
KEY = "STREAMSETS_SDK_ACTIVATION_KEY"  # the vendor's documentation, chapter installation
PYTHON = ROOT / ".venv-sdk3" / "bin" / "python"
RUNNING_HUB = "PSR_SDK_HUB"
TIMEOUT_S = 900


def not_run() -> str:
    """Return why the suite cannot run here; empty when it can."""
    if not os.environ.get(KEY):
        return f"not run: needs an activation key in {KEY}"
    return "" if PYTHON.exists() else "not run: its environment is missing; make sdk3 creates it"


def run_suite(python: Path, hub_url: str, *more: str) -> "subprocess.CompletedProcess[str]":
    """Run test_vendor_sdk.py with another interpreter, against a hub that is there already.

    Neither this project's settings nor the fixtures above this folder apply: psrlib is not installed there.
    """
    folder = Path(__file__).parent
    command = [str(python), "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder)]
    command += ["-o", f"pythonpath={folder.parent}"]  # for support.waiting, which needs nothing else
    command += ["--confcutdir", str(folder), "-p", "no:cacheprovider", "--import-mode=importlib", "-q", "-rs"]
    environment = {**os.environ, RUNNING_HUB: hub_url}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        [*command, str(folder / "test_vendor_sdk.py"), *more],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.skipif(bool(not_run()), reason=not_run() or "never")
def test_the_3x_sdk_passes_the_same_suite(acme: Any) -> None:
    """Every step that its public API shares with the 4.x+ line, and its own login and users."""
    done = run_suite(PYTHON, acme.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout, done.stdout


def test_the_suite_runs_in_another_process_against_a_hub_that_is_there(acme: Any) -> None:
    """Shown with the SDK at hand, the 4.x+ one: the way the 3.x SDK is run works."""
    done = run_suite(Path(sys.executable), acme.url, "-k", "test_the_sdk_connects")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("key", "word"), [("", KEY), ("some key", "make sdk3")])
def test_a_suite_that_cannot_run_says_so(
    key: str, word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The reason names what is missing: the key, or the environment."""
    monkeypatch.setenv(KEY, key)
    monkeypatch.setitem(globals(), "PYTHON", tmp_path / "python")
    assert not_run().startswith("not run: ")
    assert word in not_run()
