"""Commands of the tests that run containers."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LINTERS = ROOT / ".venv-images" / "bin"
PODMAN = ("podman", "--runtime", "runc")


def run(*command: str | Path, status: int = 0) -> str:
    """Run a command in the checkout, at most ten minutes, and return what it printed, on either output."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout or done.stderr


def wait_for(holds: Callable[[], bool], timeout_s: float = 60, why: Callable[[], str] = str) -> None:
    """Return as soon as something holds; when it does not in time, tell ``why``."""
    give_up_at = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < give_up_at, f"not in time; {why()}"
        time.sleep(0.2)
