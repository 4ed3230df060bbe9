"""The walk through a whole PSR in docs/psr.md works as it is written there."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from psrlib.run import stop_run
from psrlib.watch import load_background

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "psr.md").read_text()
WALK = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)[0]
TEST = """#!/bin/sh
name=before; [ -e runs/psr/after.txt ] && name=after
until [ "$(cat runs/psr/$name.jsonl 2> /dev/null | wc -l)" -ge 9 ]; do sleep 0.2; done
echo done
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``psr`` is this kit's, and the test of the walk takes a round of the recorder."""
    folder = tmp_path_factory.mktemp("walk")
    start = f'{sys.executable} -c "from psrlib.cli import main; main()"'
    commands = {
        "psr": f'#!/bin/sh\nPYTHONPATH={ROOT} exec {start} "$@"\n',
        "my-test.sh": TEST,
    }
    for name, text in commands.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    return folder


@pytest.mark.long  # what it does one after the other, other tests do one by one
def test_the_walk_ends_with_two_recordings_a_page_and_nothing_running(folder: Path) -> None:
    """One round says too little: the comparison says so."""
    walk = WALK.replace("--num-orgs 10", "--num-orgs 2")
    compared = "psr watch --compare"
    assert walk.count(compared) == 1
    walk = walk.replace(compared, f"! {compared}")  # its exit status says that it could not tell
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    try:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", walk],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
        )
    finally:
        stop_run(folder / "runs" / "psr")
    assert done.returncode == 0, done.stdout + done.stderr
    run = folder / "runs" / "psr"
    for name in ("before", "after"):
        found = load_background(run / f"{name}.jsonl")
        assert found.outages == []
        assert found.level("responding").max() > 0
        assert (run / f"{name}.txt").read_text() == "done\n"
    comparison = orjson.loads((run / "background" / "background.json").read_bytes())
    assert comparison["outcome"] == "could not tell"
    assert "Could not tell: " in done.stdout
    assert "restored; the hub runs again" in done.stdout
    assert "Consistent: 2 organizations" in done.stdout
    assert "stopped: engines, hub" in done.stdout


def test_every_option_of_the_page_is_one() -> None:
    """Commands and options named anywhere on the page exist."""
    from click import Context, Group

    from psrlib.cli import psr

    for line in re.findall(r"^psr (?!down)(.*?)(?: &| +#.*)?$", PAGE, re.MULTILINE):
        words = line.split()
        command = psr.get_command(Context(psr), words[0])
        assert command is not None, line
        if isinstance(command, Group):
            command = command.get_command(Context(command), words[1])
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
