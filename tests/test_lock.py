"""Who holds a lock is alive; who does not is not, whatever process numbers say."""

import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import psrlib
from psrlib.errors import ProcessError
from psrlib.lock import WAIT_S, Holder, find_holder, hold, pid_namespace
from psrlib.process import end_process

ROOT = Path(psrlib.__file__).parent.parent
CODE = """
import sys, time
from pathlib import Path
from psrlib.lock import hold
with hold(Path(sys.argv[1]), "a test", "test"):
    print("held", flush=True)
    time.sleep(60)
"""


def hold_elsewhere(path: Path, *before: str) -> subprocess.Popen[str]:
    """Hold a lock in another process, started by the words ``before``."""
    command = [*before, sys.executable, "-c", CODE, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    if child.stdout.readline() != "held\n":
        child.wait()
        raise AssertionError(f"{command} has ended")
    return child


def close(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


def test_a_lock_names_its_holder_and_refuses_others(tmp_path: Path) -> None:
    """Process, what it is, since when; free again after the end."""
    path = tmp_path / "run" / "a.lock"
    assert find_holder(path) is None
    child = hold_elsewhere(path)
    try:
        holder = find_holder(path)
        assert holder is not None
        assert (holder.pid, holder.command, holder.is_near) == (child.pid, "a test", True)
        refusal = rf"run 7: a test \(pid {child.pid}, since 20.*wait for its end"
        with pytest.raises(ProcessError, match=refusal), hold(path, "another", "run 7"):
            pass
    finally:
        close(child)
    with hold(path, "another", "run 7"):
        assert find_holder(path) is not None
    assert find_holder(path) is None


@pytest.mark.parametrize("end", ["text", "free"])
def test_a_lock_that_says_nothing_yet_is_looked_at_again(tmp_path: Path, end: str) -> None:
    """On a busy machine its holder may be stopped between the lock and the text, at both ends."""
    path = tmp_path / "a.lock"
    other = Holder(4711, "a slow one", "just now", pid_namespace())
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        later = threading.Timer(
            3 * WAIT_S,
            lambda: (
                fcntl.flock(file, fcntl.LOCK_UN)
                if end == "free"
                else path.write_text(json.dumps(dataclasses.asdict(other)))
            ),
        )
        later.start()
        assert find_holder(path) == (None if end == "free" else other)
        later.join()


def test_a_zombie_counts_as_dead(tmp_path: Path) -> None:
    """It was killed and its parent has not asked for it: the number is there, the lock is free."""
    path = tmp_path / "a.lock"
    child = hold_elsewhere(path)
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not released
    assert Path(f"/proc/{child.pid}/stat").read_text().split()[2] == "Z"
    assert find_holder(path) is None
    assert not end_process(path)
    with hold(path, "another", "test"):
        pass
    close(child)


def test_the_number_of_another_program_is_not_taken_for_the_holder(tmp_path: Path) -> None:
    """What a killed process left in its file says nothing, even where its number is in use again."""
    path = tmp_path / "a.lock"
    path.write_text(json.dumps(dataclasses.asdict(Holder(os.getpid(), "test", "then", pid_namespace()))))
    assert find_holder(path) is None
    assert not end_process(path)


def test_a_holder_in_another_container_is_alive_and_not_signalled(tmp_path: Path) -> None:
    """Its number means another process here, this very one for instance."""
    path = tmp_path / "a.lock"
    with hold(path, "embedded hub", "test"):
        holder = find_holder(path)
        assert holder is not None
        path.write_text(json.dumps({**dataclasses.asdict(holder), "pid_namespace": "boot pid:[1]"}))
        there = find_holder(path)
        assert there is not None
        assert not there.is_near
        with pytest.raises(ProcessError, match=r"in another container .* stop it there"):
            end_process(path)


def test_a_real_pid_namespace_is_told_apart(tmp_path: Path) -> None:
    """A process that is number 1 of a namespace of its own."""
    path = tmp_path / "a.lock"
    words = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
    try:
        child = hold_elsewhere(path, *words)
    except (AssertionError, FileNotFoundError):
        assert "pid:[" in pid_namespace()  # namespaces cannot be made here; at least they are told apart
        return
    try:
        holder = find_holder(path)
        assert holder is not None
        assert (holder.pid, holder.is_near) == (1, False)
    finally:
        close(child)


def test_a_file_that_tells_nobody_is_not_a_process_to_be_ended(tmp_path: Path) -> None:
    """Somebody holds the lock and has not said who: no signal goes to number 0, which is a whole group."""
    path = tmp_path / "a.lock"
    with hold(path, "test", "test"):
        path.write_text("")
        with pytest.raises(ProcessError, match="another process"):
            end_process(path)
