"""A real Dask scheduler and worker processes on loopback, which can be killed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from support.waiting import wait_for

from psrlib.cluster import connect
from psrlib.fleets import stop_fleets


@contextmanager
def connected(address: str, run_dir: Path) -> Iterator[Any]:
    """Yield a client of a scheduler; at the end the fleets of a run are stopped."""
    with closing(connect(address)) as client:
        yield client
        stop_fleets(client, run_dir)


class DaskCluster(AbstractContextManager["DaskCluster"]):
    """A scheduler; workers are added by name. Logs are in the folder given."""

    def __init__(
        self, folder: Path, protocol: str = "tcp", environment: Mapping[str, str | None] | None = None
    ) -> None:
        self.folder = folder
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        options += ["--protocol", protocol]
        self.scheduler = self._start("scheduler", "scheduler", *options, environment=environment)
        self.address = self._read("scheduler", r"Scheduler at:\s*(\S+)")

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
        begin = len(log.read_text()) if log.exists() else 0
        options = ["--no-nanny", "--no-dashboard", "--nthreads", str(n_threads), "--name", name]
        options += ["--local-directory", str((folder or self.folder) / "spill"), "--host", "127.0.0.1"]
        self.workers[name] = self._start(
            "worker", name, self.address, *options, environment=environment, folder=folder
        )
        self._read(name, r"(Registered to:)", begin)
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

    def _read(self, name: str, words: str, begin: int = 0) -> str:
        """Return what a process says of itself in its log, as soon as it does."""
        log = self.folder / f"{name}.log"
        return wait_for(lambda: re.search(words, log.read_text()[begin:]), why=log.read_text)[1]
