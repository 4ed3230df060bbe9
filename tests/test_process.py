"""Programs in the background end as they should, and are told apart from others."""

import os
from pathlib import Path

import pytest

import psrlib
from psrlib import process
from psrlib.errors import ProcessError
from psrlib.lock import find_holder
from psrlib.process import end_process, last_line, read_record, start_process, wait_started

ROOT = Path(psrlib.__file__).parent.parent
HOLDER = """
import signal, time
from pathlib import Path
from psrlib.lock import hold
{}
with hold(Path({!r}), "test", "test"):
    print("up", flush=True)
    time.sleep(60)
"""
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def start(folder: Path, module: str, code: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Path]:
    """Start a module with this code; return its process id and its log."""
    (folder / f"{module}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{ROOT}")
    return start_process(module, [], folder / "log"), folder / "log"


def test_a_process_that_ignores_the_request_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM first, SIGKILL when it has not ended in time."""
    monkeypatch.setattr(process, "STOP_TIMEOUT_S", 0.3)
    lock = tmp_path / "lock"
    pid, log = start(tmp_path, "stubborn", HOLDER.format(STUBBORN, str(lock)), monkeypatch)
    holder = wait_started(pid, "test", log, lambda: find_holder(lock))
    wait_started(pid, "test", log, lambda: "up" in log.read_text())
    assert holder.pid == pid
    assert log.stat().st_mode & 0o777 == 0o600
    assert end_process(lock)
    assert find_holder(lock) is None
    assert not end_process(lock)


def test_the_last_words_of_a_process_are_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended before it was ready."""
    pid, log = start(tmp_path, "broken", "print('first'); raise SystemExit('no such port')", monkeypatch)
    with pytest.raises(ProcessError, match="test ended at start: no such port"):
        wait_started(pid, "test", log, lambda: None)


def test_a_process_that_is_never_ready_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the log is named."""
    monkeypatch.setattr(process, "START_TIMEOUT_S", 0.2)
    pid, log = start(tmp_path, "sleeper", "import time; time.sleep(60)", monkeypatch)
    with pytest.raises(ProcessError, match=r"did not start within 0 s; see .*log"):
        wait_started(pid, "test", log, lambda: None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("text", [None, "{", "[]", '{"pid": 1}'])
def test_a_record_that_is_not_whole_is_none(tmp_path: Path, text: str | None) -> None:
    """No file, no JSON, no object, or a key lacks."""
    path = tmp_path / "record.json"
    if text is not None:
        path.write_text(text)
    assert read_record(path, ("pid", "url")) is None
    assert last_line(tmp_path / "log") == f"no word in {tmp_path / 'log'}"
