"""A real Dask scheduler and worker processes on loopback, which can be killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from support.ports import free_port

START_S = 60.0


class DaskCluster(AbstractContextManager["DaskCluster"]):
    """A scheduler; workers are added by name. Logs are in the folder given."""

    def __init__(
        self, folder: Path, protocol: str = "tcp", environment: Mapping[str, str | None] | None = None
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"{protocol}://127.0.0.1:{self.port}"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        options += ["--protocol", protocol]
        self.scheduler = self._start("scheduler", "scheduler", *options, environment=environment)
        self._wait(self._answers, "scheduler")

    def add_worker(
        self,
        name: str,
        *,
        n_threads: int = 2,
        environment: Mapping[str, str | None] | None = None,
        folder: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a worker process, in a folder of its own if one is given.

        Variables of the environment that are None are left out.
        """
        log = self.folder / f"{name}.log"
        begin = log.stat().st_size if log.exists() else 0
        options = ["--no-nanny", "--no-dashboard", "--nthreads", str(n_threads), "--name", name]
        options += ["--local-directory", str((folder or self.folder) / "spill"), "--host", "127.0.0.1"]
        self.workers[name] = self._start(
            "worker", name, self.address, *options, environment=environment, folder=folder
        )
        self._wait(lambda: b"Registered to:" in log.read_bytes()[begin:], name)
        return self.workers[name]

    def kill(self, name: str) -> None:
        """Kill a worker as a machine that loses its power."""
        process = self.workers.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def text(self) -> str:
        """Return the logs of scheduler and workers."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def __exit__(self, *_: object) -> None:
        for process in [*self.workers.values(), self.scheduler]:
            process.terminate()
        for process in [*self.workers.values(), self.scheduler]:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(
        self,
        what: str,
        name: str,
        *options: str,
        environment: Mapping[str, str | None] | None = None,
        folder: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        variables = {**os.environ, **(environment or {})}
        with open(self.folder / f"{name}.log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", what, *options],
                stdout=log,
                stderr=log,
                cwd=folder or self.folder,  # where no other psrlib is
                env={key: value for key, value in variables.items() if value is not None},
            )

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _wait(self, is_there: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + START_S
        while not is_there():
            assert time.monotonic() < deadline, (self.folder / f"{name}.log").read_text()
            time.sleep(0.05)
