"""What `psr watch --record` costs a hub, beside what the engines and their pipelines cost it.

Processor time of the embedded hub, in one run: first with the engines alone, then with calls of the recorder
one after the other as fast as they are answered. The cost of a call times the default rate, over the cost of
the engines, is the ratio; the calls and logins of the first round are spread over an hour. Exit status 1 when
it is 1 % or more.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from psrlib.client import ControlHub
from psrlib.engines import start_fleet
from psrlib.hub.process.hub_process import start_hub
from psrlib.model import NoiseModel
from psrlib.paths import default_model
from psrlib.run import resolve_run
from psrlib.seed import create_seed
from psrlib.state import populate, setup_engines, start_jobs, wait_until_active
from psrlib.watch.recorder import default_rate, look, round_of

PASSWORD = "admin@admin"  # the embedded hub's initial one
RANDOM_SEED = 19071990
ALLOWED = 0.01
ALONE_S = 60.0  # engines report metrics once a minute
CALLS = 1500
HOUR_S = 3600.0
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cost(pid: int, work: Callable[[], object]) -> tuple[float, float]:
    """Return the processor seconds that the hub spent while something was done, and how long that took."""
    before, begun = cpu_s(pid), time.perf_counter()
    work()
    return cpu_s(pid) - before, time.perf_counter() - begun


def measure(folder: Path, n_organizations: int) -> float:
    """Print what engines and recorder cost the hub; return the ratio."""
    seed = create_seed(NoiseModel.load(default_model()), RANDOM_SEED, n_organizations)
    document = resolve_run(seed, folder)
    with start_hub(folder) as process, ControlHub(process.url, "admin@admin", PASSWORD, workers=1) as hub:
        populate(document, hub, progress=False)
        n_engines = len(setup_engines(document, hub, folder))
        with start_fleet(folder, hub.url, document.variables["webhook_url"]):
            start_jobs(document, hub)
            wait_until_active(document, hub)
            time.sleep(10)  # what was started is reported
            alone_s, alone_took_s = cost(process.pid, lambda: time.sleep(ALONE_S))
            engines_s = alone_s / alone_took_s
            with ControlHub(process.url, "admin@admin", PASSWORD) as fresh:
                visits = round_of(fresh, [o.id for o in document.organizations])

                def call(n: int) -> None:
                    for number in range(n):
                        assert not look(visits[number % len(visits)]).outage

                first_s, first_took_s = cost(process.pid, lambda: call(len(visits)))
                calls_s, calls_took_s = cost(process.pid, lambda: call(CALLS))
    first_s -= engines_s * first_took_s
    call_s = (calls_s - engines_s * calls_took_s) / CALLS
    rate = default_rate(n_engines)
    ratio = (rate * call_s + max(first_s, 0) / HOUR_S) / engines_s
    print(
        f"{n_organizations} organizations, {n_engines} engines: {1000 * engines_s:.1f} ms of the hub a second"
    )
    print(f"a call: {1000 * call_s:.2f} ms; {rate:.2f} calls a second; first round {1000 * first_s:.0f} ms")
    return ratio


def main() -> None:
    """Print the ratio beside what is allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-orgs", type=int, default=10, help="organizations")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ratio = measure(Path(folder), options.num_orgs)
    print(f"watch over engines: {ratio:.2%}, allowed {ALLOWED:.0%}: {'met' if ratio < ALLOWED else 'MISSED'}")
    sys.exit(ratio >= ALLOWED)


if __name__ == "__main__":
    main()
