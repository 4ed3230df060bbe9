"""Populate measured: HTTP calls against the vendor SDK's, wall time under latency, client against hub CPU.

Ratios of one run; exit status 1 when a figure is missed. ``--quick`` uses fewer organizations.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import pandas as pd

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.hub.process.hub_process import HubProcess, start_hub
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed, resolve_variables
from psrlib.state import PopulateReport, diff, observe, populate, setup_engines
from psrlib.words import OWNED

PASSWORD = "admin@admin"  # the embedded hub's initial one
RANDOM_SEED = 19071990
LATENCY_S = 0.05
WORKERS = 4  # fixed for the run under latency, so that the ideal is known
LEAST_RATIO = 6.0  # calls of the SDK over ours
MOST_WALL = 1.3  # wall time over (calls x latency / connections)
MOST_CPU = 1.5  # processor time of the client over the hub's

# Calls of the vendor's SDK 3.12.2 (control-hub-rest, "SDK cost" of each section)
SDK_SESSION = 13 + 3  # 9.2
SDK_CONFIG_KEY = 2  # 2.4
SDK_USER = 3  # 3.7
SDK_GROUP = 1  # 3.7
SDK_PIPELINE = 7  # 4.6
SDK_NEXT_COMMIT = 4  # 4.6
SDK_JOB = 2  # 5.8
SDK_TASK = 3  # 7.1
SDK_SUBSCRIPTION = 1  # 7.2
SDK_CONNECTION = 1  # 7.6, without the two engine calls
SDK_TOPOLOGY, SDK_TOPOLOGY_JOB = 3, 3  # 7.4
SDK_OWNER = 2  # 8: GET and POST of the ACL


def sdk_calls(document: SeedDocument) -> Counter[str]:
    """Return what the SDK's documented sequence takes for the same entities, per kind."""
    calls: Counter[str] = Counter(sessions=SDK_SESSION * (len(document.organizations) + 1))
    for o in document.organizations:
        settings = [getattr(o.config, name) for name in o.config.__struct_fields__]
        owned = [entity.owner for kind in OWNED for entity in getattr(o, kind)]
        calls.update(
            {
                "organizations": 1,
                "configuration": SDK_CONFIG_KEY * sum(value is not None for value in settings),
                "users": SDK_USER * (len(o.users) - 1),
                "groups": SDK_GROUP * len(o.groups),
                "connections": SDK_CONNECTION * len(o.connections),
                "fragments": SDK_PIPELINE * len(o.fragments),
                "pipelines": sum(SDK_PIPELINE + SDK_NEXT_COMMIT * (p.commits - 1) for p in o.pipelines),
                "jobs": SDK_JOB * len(o.jobs),
                "scheduled tasks": SDK_TASK * len(o.scheduled_tasks),
                "subscriptions": SDK_SUBSCRIPTION * len(o.subscriptions),
                "topologies": sum(SDK_TOPOLOGY + SDK_TOPOLOGY_JOB * len(t.jobs) for t in o.topologies),
                "owners": SDK_OWNER * sum(owner != o.users[0].key for owner in owned),
                "engine tokens": len({e.type for e in o.engines}),
            }
        )
    return +calls


def compare_calls(n_organizations: int) -> tuple[float, float]:
    """Populate, print calls per kind against the SDK's; return that ratio and client CPU over hub CPU."""
    document = draw(n_organizations)
    with tempfile.TemporaryDirectory() as folder, start_hub(folder) as process:
        before_client, before_hub = client_cpu_s(), hub_cpu_s(process)
        with ControlHub(process.url, "admin@admin", PASSWORD) as hub:
            report = populate(document, hub, progress=False)
            cpu_ratio = (client_cpu_s() - before_client) / max(hub_cpu_s(process) - before_hub, 0.01)
            setup_engines(document, hub, Path(folder))
            ours = Counter(hub.calls.by_kind())
            difference = diff(document, observe(document, hub), runtime=False)
    assert not difference, difference.summary()
    theirs = sdk_calls(document)
    table = pd.DataFrame({"psr": ours, "SDK": theirs}).fillna(0).astype(int)
    table["times fewer"] = (table["SDK"] / table["psr"]).round(1)
    ratio = theirs.total() / ours.total()
    n_entities = sum(report.created.values())
    print(f"\n{n_organizations} organizations, {n_entities} entities, {report.duration_s:.1f} s")
    print(table.to_string())
    print(f"calls: {ours.total()} against {theirs.total()}, {ratio:.1f} times fewer (at least {LEAST_RATIO})")
    print(f"client CPU over hub CPU: {cpu_ratio:.2f} (at most {MOST_CPU})")
    return ratio, cpu_ratio


def measure_latency(n_organizations: int) -> float:
    """Populate with latency on every answer; return wall time over the ideal.

    The ideal knows the latency only: on a busy machine, where the hub takes long for its own work, it is out
    of reach. Wall time over (time of all answers / connections), printed beside it, is the client's part.
    """
    document = draw(n_organizations)
    with tempfile.TemporaryDirectory() as folder, start_hub(folder) as process:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        arguments = (process.url, theirs)
        proxy = multiprocessing.get_context("spawn").Process(target=serve_proxy, args=arguments)
        proxy.start()
        try:
            url = ours.recv()
            with ControlHub(url, "admin@admin", PASSWORD, workers=WORKERS) as hub:
                before_s = hub.calls.waited_s
                report: PopulateReport = populate(document, hub, progress=False)
                answers_s = hub.calls.waited_s - before_s
        finally:
            ours.send("stop")
            proxy.join(10)
    ideal_s = report.n_calls * LATENCY_S / WORKERS
    ratio, own_ratio = report.duration_s / ideal_s, report.duration_s * WORKERS / answers_s
    print(
        f"\n{n_organizations} organizations, {LATENCY_S * 1000:.0f} ms added to every answer, {WORKERS} "
        f"connections: {report.duration_s:.1f} s for {report.n_calls} calls\n"
        f"over calls x latency / connections = {ideal_s:.1f} s: {ratio:.2f} (at most {MOST_WALL})\n"
        f"over time of all answers / connections = {answers_s / WORKERS:.1f} s: {own_ratio:.2f}"
    )
    return ratio


def serve_proxy(target: str, pipe: Connection) -> None:
    """Run the tests' proxy, with latency and without faults, in a process of its own."""
    sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
    from support.fault_proxy import FaultProxy, Faults

    with FaultProxy(target, Faults(latency_s=LATENCY_S)) as running:
        pipe.send(running.url)
        pipe.recv()


def draw(n_organizations: int) -> SeedDocument:
    model = NoiseModel.load(paths.default_model())
    return resolve_variables(create_seed(model, RANDOM_SEED, n_organizations), {})


def client_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def hub_cpu_s(process: HubProcess) -> float:
    """Return the CPU seconds of the hub's process so far, from Linux' /proc."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    few, many = (5, 10) if options.quick else (10, 100)
    ratio_few, _ = compare_calls(few)
    ratio_many, cpu_ratio = compare_calls(many)
    wall = measure_latency(many // 2)
    reached = {
        f"calls, {few} organizations": ratio_few >= LEAST_RATIO,
        f"calls, {many} organizations": ratio_many >= LEAST_RATIO,
        "client CPU over the hub's": cpu_ratio <= MOST_CPU,
        "wall time under latency": wall <= MOST_WALL,
    }
    print()
    for figure, is_reached in reached.items():
        print(f"{'reached' if is_reached else 'MISSED '}  {figure}")
    return 0 if all(reached.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
