"""Speed and memory of ``psr create-json``: ratio to the floor of the same run, memory against size.

The floor is what any program pays for the same document: the fastest JSON library's dump of objects that
are in memory already, and writing the bytes. It is measured on slices, so that the bench itself needs no
more than a slice of objects.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from psrlib import paths

PSR = [str(Path(sys.executable).with_name("psr"))]
SLICE = 500  # organizations


def create(model: Path, num_orgs: int, output: Path, *options: str) -> tuple[float, float, float]:
    """Return wall and processor time (s) and the largest process's memory (MB) of one ``psr create-json``."""
    output.unlink(missing_ok=True)  # freeing an old file's pages is no work of the command, nor of the floor
    command = [*PSR, "create-json", "--model", str(model), "--num-orgs", str(num_orgs), "-o", str(output)]
    start = time.perf_counter()
    process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"psr create-json ended with status {process.returncode}")
    wall = time.perf_counter() - start
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def floor(document: Path, output: Path) -> tuple[float, float]:
    """Return the wall and processor time (s) that dumping and writing the document's objects takes."""
    wall, cpu = 0.0, 0.0
    with document.open("rb") as lines, output.open("wb") as file:
        while texts := [line for line in (lines.readline() for _ in range(SLICE)) if line]:
            objects = [orjson.loads(text) for text in texts]
            start, start_cpu = time.perf_counter(), time.process_time()
            file.write(orjson.dumps(objects))
            file.flush()
            wall += time.perf_counter() - start
            cpu += time.process_time() - start_cpu
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-orgs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path, default=paths.default_model())
    arguments = parser.parse_args()
    n, model = arguments.num_orgs, arguments.model
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = folder / "seed.jsonl"
        create(model, n, lines)
        size = lines.stat().st_size / 1e6
        print(f"{model.name}: {n} organizations, {size:.0f} MB of JSON, {os.cpu_count()} processors")
        ratios = []
        for number in range(arguments.rounds):
            bottom, bottom_cpu = floor(lines, folder / "floor.json")
            wall, cpu, _ = create(model, n, folder / "seed.json")
            ratios.append(wall / bottom)
            times = f"floor {bottom:.2f} s (CPU {bottom_cpu:.2f}), create-json {wall:.2f} s (CPU {cpu:.2f})"
            print(f"round {number + 1}: {times}, ratio {ratios[-1]:.1f} (CPU {cpu / bottom_cpu:.1f})")
        one, cpu, _ = create(model, n, folder / "seed.json", "--workers", "1")
        print(f"median ratio {sorted(ratios)[len(ratios) // 2]:.1f} (at most 3.5)")
        print(f"one process: {one:.2f} s (CPU {cpu:.2f})")
        for size_n in (n // 10, n):
            wall, _, memory = create(model, size_n, folder / "seed.jsonl.gz")
            print(f".jsonl.gz of {size_n} organizations: {wall:.2f} s, largest process {memory:.0f} MB")


if __name__ == "__main__":
    main()
