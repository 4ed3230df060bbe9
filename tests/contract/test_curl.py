"""The shell session of docs/embedded-hub-curl.md: quick-start scripts with nothing but curl."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from psrlib.hub.process.hub_process import start_hub

PAGE = Path(__file__).parents[2] / "docs" / "embedded-hub-curl.md"


def session_of(page: str) -> str:
    """Return the commands of the page's shell blocks, in their order."""
    return "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))


def test_the_documented_curl_session_works(tmp_path: Path) -> None:
    """Login, organization, token, agent, deployment, pipeline, job: every command of the page succeeds."""
    shell, curl = shutil.which("sh"), shutil.which("curl")
    if shell is None or curl is None:
        pytest.fail("sh and curl are needed: install curl")
    with start_hub(tmp_path) as hub:
        done = subprocess.run(
            [shell, "-eu", "-c", session_of(PAGE.read_text())],
            env={"HUB": hub.url, "PATH": str(Path(curl).parent) + ":/usr/bin:/bin"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "deployment ACTIVE, job never started: done"
