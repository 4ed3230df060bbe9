"""How much memory a piece of work, or a program of its own, takes."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable

# What was resident at most: of this program alone, where the system says it. The figure of getrusage
# begins with that of the process that started this one.
PEAK = """
import pathlib, resource
status = pathlib.Path("/proc/self/status")
if status.exists():
    print(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def peak_mb_of(work: Callable[[], None]) -> float:
    """Return the megabytes that Python had allocated at most while working, more than before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        return (tracemalloc.get_traced_memory()[1] - before) / 1e6
    finally:
        tracemalloc.stop()


def run_measured(program: str, *arguments: str) -> tuple[list[str], float]:
    """Run a Python program; return the lines that it printed, and the memory that it took at most, in MB."""
    command = [sys.executable, "-c", program + PEAK, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    *lines, peak = done.stdout.splitlines()
    return lines, int(peak) / 1024
