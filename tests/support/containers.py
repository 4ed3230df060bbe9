"""Commands of the tests that run containers."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LINTERS = ROOT / ".venv-images" / "bin"
PODMAN = ("podman", "--runtime", "runc")


def run(*command: str | Path, status: int = 0) -> str:
    """Run a command in the checkout, at most ten minutes, and return what it printed, on either output."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout or done.stderr
