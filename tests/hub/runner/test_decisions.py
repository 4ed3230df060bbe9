"""What a report, a silence or a wish means for a run: a table of cases, without a database."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from psrlib.hub.runner import decisions, words
from psrlib.hub.runner.changes import (
    Change,
    Failed,
    Gone,
    Place,
    Put,
    Remove,
    Send,
    SetStatus,
    Settle,
    SetWarnings,
    Tell,
)
from psrlib.hub.runner.decisions import (
    NO_ENGINE,
    NO_FAILOVER,
    NOT_RESPONDING,
    OVER_THRESHOLDS,
    OpenRun,
    Slot,
)
from psrlib.hub.runner.entities import Engine, Instance, Job, Run
from psrlib.hub.runner.pool import Choice

END = SetStatus("DEACTIVATING", "GRAY")
GREEN, RED = SetStatus("ACTIVE", "GREEN"), SetStatus("ACTIVE", "RED")


def engine(key: str, kind: str = "COLLECTOR", *labels: str) -> Engine:
    return Engine(key, "acme", f"http://{key}", "3.22.2", kind, reported_labels=list(labels or ("all",)))


ENGINES = {key: engine(key) for key in "abc"} | {"edge": engine("edge", "EDGE")}


def instance(slot: int, engine_id: str, phase: str = "RUNNING", status: str = "RUNNING") -> Instance:
    """Return the pipeline of a slot on an engine; its number is that of the slot."""
    return Instance(slot, "run", "job", "acme", engine_id, "Orders:job", slot, phase, status=status)


SILENT = NOT_RESPONDING.format("[http://a]")
A, B = instance(0, "a"), instance(1, "b")
OFFSET = instance(0, "a", "RUNNING", "RUN_ERROR")
OFFSET.offset, OFFSET.offset_protocol = "42", 1


@dataclass
class Case:
    """A run in ACTIVE/GREEN unless told otherwise; ``spare`` engines are found in this order."""

    instances: list[Instance] = field(default_factory=lambda: [A])
    status: str = "ACTIVE"
    color: str = "GREEN"
    warnings: list[str] = field(default_factory=list)
    failovers: int = 0
    wanted: int = 1
    failover: bool = True
    settings: dict[str, object] = field(default_factory=dict)
    spare: str = ""
    matching: str | None = None

    def open_run(self) -> OpenRun:
        job = Job("job", "acme", "Nightly", "p", "c", labels=["all"], settings=self.settings)
        job.instances, job.migrate_offsets = self.wanted, self.failover
        run = Run("run", "job", "acme", "c", "v1", "u@acme", 1, self.status, self.color)
        run.warnings, run.failovers = self.warnings, self.failovers

        def find(n_wanted: int, excluded: set[str]) -> Choice:
            found = [ENGINES[key] for key in self.spare if key not in excluded]
            matching = [ENGINES[key] for key in (self.spare if self.matching is None else self.matching)]
            return Choice(found if n_wanted < 0 else found[:n_wanted], matching)

        return OpenRun(run, job, self.instances, ENGINES.get, find)


def on(status: str, engine_id: str = "a", phase: str = "RUNNING") -> Case:
    """Return a run with one pipeline in a state."""
    return Case([instance(0, engine_id, phase, status)])


def plain(changes: list[Change]) -> list[object]:
    """Return changes with the ids of records, which are equal to themselves only."""
    found: list[object] = []
    for change in changes:
        values = {name: getattr(change, name) for name in change.__struct_fields__}
        named = {
            name: value.id if isinstance(value, Instance | Engine) else value
            for name, value in values.items()
        }
        found.append((type(change).__name__, named))
    return found


Decide = Callable[[OpenRun], list[Change]]


def settle(case: OpenRun) -> list[Change]:
    return decisions.settlement(case, {"c"})


def place(*kept: Slot, excluded: str = "") -> Decide:
    return lambda case: decisions.placement(case, list(kept), set(excluded))


def of_first(decide: Callable[[OpenRun, Instance], list[Change]]) -> Decide:
    return lambda case: decide(case, case.instances[0])


fail = of_first(lambda case, first: decisions.failure(case, first, "broken"))
silent = of_first(decisions.silence)
FAIL = SetStatus("DEACTIVATING", "RED", error="broken")
MOVED = Put(ENGINES["b"], 0, failover=True)
LOST = Tell(
    "MAX_GLOBAL_FAILOVER_RETRIES_EXHAUSTED", {"JOB_ID": "job", "JOB_NAME": "Nightly", "ORG_ID": "acme"}
)

CASES: dict[str, tuple[Case, Decide, list[Change]]] = {
    # what the states of the pipelines mean
    "running is green": (on("RUNNING"), settle, [GREEN]),
    "a first running makes an activating run active": (
        replace(on("RUNNING"), status="ACTIVATING", color="GRAY"),
        settle,
        [GREEN],
    ),
    "starting decides nothing": (on("STARTING", phase="STARTING"), settle, []),
    "retrying is red": (on("RETRY"), settle, [RED]),
    "running with a warning is red": (replace(on("RUNNING"), warnings=[NO_ENGINE]), settle, [RED]),
    "running on a silent engine is red": (on("RUNNING", "c"), settle, [RED]),
    "one of two running, one starting is red": (
        Case([A, instance(1, "b", "STARTING", "STARTING")]),
        settle,
        [RED],
    ),
    "all finished ends the run": (
        on("FINISHED"),
        settle,
        [END, Remove(instance(0, "a"), words.STOP_DELETE)],
    ),
    "stopped at its engine ends the run": (
        on("STOPPED", "edge"),
        settle,
        [END, Remove(instance(0, "edge"), words.DELETE)],
    ),
    "one of two finished is removed, the run goes on": (
        Case([instance(0, "a", status="FINISHED"), B]),
        settle,
        [Remove(A, words.STOP_DELETE), GREEN],
    ),
    "a failed pipeline is judged after what went before": (
        Case([instance(0, "a", "STOPPING", "DELETED"), instance(1, "b", status="RUN_ERROR")]),
        settle,
        [Gone(A), Failed(B, "pipeline is RUN_ERROR")],
    ),
    "deleted while stopping is gone": (
        replace(on("DELETED", phase="STOPPING"), status="DEACTIVATING"),
        settle,
        [Gone(A)],
    ),
    "stopped while stopping is deleted on edge": (
        replace(on("STOPPED", "edge", "STOPPING"), status="DEACTIVATING"),
        settle,
        [Send(words.DELETE, A)],
    ),
    "stopped while stopping waits for DELETED elsewhere": (
        replace(on("STOPPED", phase="STOPPING"), status="DEACTIVATING"),
        settle,
        [],
    ),
    "deleted by somebody else is gone": (on("DELETED"), settle, [Gone(A)]),
    "deleted by somebody else is not put anywhere when all others finished": (
        Case([instance(0, "a", status="DELETED"), instance(1, "b", status="FINISHED")]),
        settle,
        [Gone(A), END, Remove(B, words.STOP_DELETE)],
    ),
    # a failed pipeline
    "a failure moves to an engine that is free": (
        Case(spare="ab"),
        fail,
        [Remove(A, words.STOP_DELETE), MOVED],
    ),
    "a failure takes the offset along": (
        Case([OFFSET], spare="b"),
        fail,
        [Remove(A, words.STOP_DELETE), Put(ENGINES["b"], 0, "42", 1, failover=True)],
    ),
    "an engine that failed in this run is not tried again": (
        Case([A, instance(0, "b", "GONE", "START_ERROR")], spare="b"),
        fail,
        [FAIL, Remove(A, words.STOP_DELETE)],
    ),
    "an engine that runs another pipeline of the run is not chosen": (
        Case([A, B], spare="b"),
        fail,
        [FAIL, Remove(A, words.STOP_DELETE), Remove(B, words.STOP_DELETE)],
    ),
    "without failover a failure ends the run": (
        Case(failover=False, spare="b"),
        fail,
        [FAIL, Remove(A, words.STOP_DELETE)],
    ),
    "too many failovers are told and end the run": (
        Case(spare="b", failovers=2, settings={"globalMaxRetries": 2}),
        fail,
        [LOST, FAIL, Remove(A, words.STOP_DELETE)],
    ),
    "minus one failovers are no limit": (
        Case(spare="b", failovers=2, settings={"globalMaxRetries": -1}),
        fail,
        [Remove(A, words.STOP_DELETE), MOVED],
    ),
    "a failure of a run that is being stopped changes nothing": (Case(status="DEACTIVATING"), fail, []),
    # a silent engine
    "silence moves the pipeline without a word to its engine": (
        Case(spare="b"),
        silent,
        [Gone(A, drop=True), MOVED],
    ),
    "silence without another engine moves nothing": (Case(), silent, []),
    "silence without failover moves nothing": (Case(failover=False, spare="b"), silent, []),
    "a pipeline that is leaving a silent engine is gone": (
        Case([instance(0, "a", "STOPPING")], spare="b"),
        silent,
        [Gone(A, drop=True)],
    ),
    "too many failovers of a silent engine are told": (
        Case(spare="b", failovers=2, settings={"globalMaxRetries": 2}),
        silent,
        [LOST],
    ),
    "too many failovers of a silent engine are told once": (
        Case(spare="b", failovers=2, settings={"globalMaxRetries": 2}, warnings=[SILENT]),
        silent,
        [],
    ),
    "silence warns of both, as a real hub does": (
        Case([A, instance(1, "c")]),
        lambda case: decisions.silence_warnings(case, {"a", "c"}),
        [
            SetWarnings(
                [NOT_RESPONDING.format("[http://a, http://c]"), NO_FAILOVER.format("[http://a, http://c]")]
            ),
            RED,
        ],
    ),
    "silence without failover warns of the silence": (
        Case(failover=False, warnings=[NO_ENGINE]),
        lambda case: decisions.silence_warnings(case, {"a"}),
        [SetWarnings([SILENT, NO_ENGINE]), RED],
    ),
    "an engine that is back is warned of no longer": (
        Case(warnings=[SILENT, NO_FAILOVER.format("[http://a]"), NO_ENGINE]),
        lambda case: decisions.silence_warnings(case, set()),
        [SetWarnings([NO_ENGINE]), Settle()],
    ),
    # engines for a run
    "a run gets the engines it lacks": (
        Case([A], wanted=3, spare="abc"),
        place(),
        [Put(ENGINES["b"], 1), Put(ENGINES["c"], 2), SetWarnings([])],
    ),
    "minus one instances take every engine": (
        Case([], wanted=-1, spare="ab"),
        place(),
        [Put(ENGINES["a"], 0), Put(ENGINES["b"], 1), SetWarnings([])],
    ),
    "offsets of former runs are taken up first": (
        Case([], wanted=2, spare="ab"),
        place(Slot(3, "42", 1)),
        [Put(ENGINES["a"], 3, "42", 1), Put(ENGINES["b"], 4), SetWarnings([])],
    ),
    "a run that has what it wants has no warning": (Case(), place(), [SetWarnings([])]),
    "no engine at all is red": (Case([]), place(), [SetWarnings([NO_ENGINE]), RED]),
    "engines over their thresholds are another warning": (
        Case([], matching="ba"),
        place(),
        [SetWarnings([OVER_THRESHOLDS.format("[http://a, http://b]")]), RED],
    ),
    "one engine of two is a warning": (
        Case([], wanted=2, spare="a"),
        place(),
        [Put(ENGINES["a"], 0), SetWarnings([OVER_THRESHOLDS.format("[http://a]")])],
    ),
    "a warning of silence stays": (
        Case(wanted=2, warnings=[SILENT]),
        place(),
        [SetWarnings([SILENT, NO_ENGINE])],
    ),
    "a run that is being stopped gets no engine": (Case([], status="DEACTIVATING", spare="a"), place(), []),
    "a pipeline that finished is not put anywhere again": (
        Case([A, instance(1, "b", "GONE", "FINISHED")], wanted=2, spare="bc"),
        place(),
        [SetWarnings([])],
    ),
    "a pipeline that is leaving has its place": (
        Case([instance(0, "a", "STOPPING")], spare="b"),
        place(),
        [SetWarnings([])],
    ),
    "one that left is replaced": (Case([instance(0, "a", "GONE")]), decisions.replacement, [Place()]),
    "one that failed and moved counts once": (
        Case(
            [instance(0, "a", "STOPPING", "RUN_ERROR"), instance(0, "b"), instance(1, "c", "GONE")], wanted=2
        ),
        decisions.replacement,
        [Place()],
    ),
    "one that finished is not replaced": (
        Case([A, instance(1, "b", "GONE", "FINISHED")], wanted=2),
        decisions.replacement,
        [],
    ),
    "nothing is replaced in a run that waits for engines": (
        Case([], warnings=[NO_ENGINE]),
        decisions.replacement,
        [],
    ),
    "nothing is replaced in a run that is being stopped": (
        Case([], status="DEACTIVATING"),
        decisions.replacement,
        [],
    ),
    "an excluded engine gets nothing": (
        Case([], spare="ab"),
        place(excluded="a"),
        [Put(ENGINES["b"], 0), SetWarnings([])],
    ),
    "a run that waited for its first engine is activating": (
        Case([], spare="a", color="RED"),
        lambda case: decisions.second_placement(case, []),
        [Put(ENGINES["a"], 0), SetWarnings([]), SetStatus("ACTIVATING", "GRAY")],
    ),
    "a run that waited for its second engine stays as it is": (
        Case([A], wanted=2, spare="b"),
        lambda case: decisions.second_placement(case, []),
        [Put(ENGINES["b"], 1), SetWarnings([])],
    ),
    # the end
    "a stopped run without pipelines is inactive": (
        Case([instance(0, "a", "GONE")], status="DEACTIVATING", color="GRAY"),
        decisions.ending,
        [SetWarnings([]), SetStatus("INACTIVE", "GRAY")],
    ),
    "a failed run needs an acknowledgement": (
        Case([], status="DEACTIVATING", color="RED"),
        decisions.ending,
        [SetWarnings([]), SetStatus("INACTIVE_ERROR", "RED")],
    ),
    "a failed run needs none when its job says so": (
        Case([], status="DEACTIVATING", color="RED", settings={"needsManualAck": False}),
        decisions.ending,
        [SetWarnings([]), SetStatus("INACTIVE", "RED")],
    ),
    "a run with pipelines does not end": (Case(status="DEACTIVATING"), decisions.ending, []),
    "a run that nobody stops does not end": (Case([]), decisions.ending, []),
    # wishes
    "a stop takes the job's time": (
        Case(settings={"forceStopTimeout": 5}),
        lambda case: decisions.stopping(case, "b@acme", False),
        [SetStatus("DEACTIVATING", "GRAY", "b@acme"), Remove(A, words.STOP_DELETE, "b@acme", 5)],
    ),
    "a forced stop waits for nobody": (
        Case(),
        lambda case: decisions.stopping(case, "b@acme", True),
        [SetStatus("DEACTIVATING", "GRAY", "b@acme"), Remove(A, words.STOP_DELETE, "b@acme", 0), Gone(A)],
    ),
    "edge is stopped before it deletes": (
        on("RUNNING", "edge"),
        lambda case: decisions.stopping(case, "b@acme", False),
        [SetStatus("DEACTIVATING", "GRAY", "b@acme"), Remove(A, words.STOP, "b@acme")],
    ),
    "a pipeline on an engine that was forgotten is given up": (
        on("RUNNING", "elsewhere"),
        lambda case: decisions.stopping(case, "b@acme", False),
        [SetStatus("DEACTIVATING", "GRAY", "b@acme"), Gone(A, drop=True)],
    ),
    "a stop in time is waited for": (
        Case(settings={"forceStopTimeout": 1000}),
        of_first(lambda case, first: decisions.late_stop(case, first, 70_999)),
        [],
    ),
    "a stop that takes too long is given up": (
        Case(settings={"forceStopTimeout": 1000}),
        of_first(lambda case, first: decisions.late_stop(case, first, 71_000)),
        [Gone(A, drop=True)],
    ),
    "a removed engine's pipeline goes elsewhere": (
        Case(),
        of_first(decisions.giving_up),
        [Gone(A, drop=True), Place({"a"})],
    ),
    "a removed engine's pipeline is waited for no longer": (
        Case(status="DEACTIVATING"),
        of_first(decisions.giving_up),
        [Gone(A, drop=True)],
    ),
    "in line with labels only what lacks is placed": (Case(), decisions.synchronisation, [Place()]),
    "an engine that was forgotten loses its pipelines": (
        on("RUNNING", "elsewhere"),
        decisions.synchronisation,
        [Gone(A, drop=True), Place()],
    ),
    "a balance moves to an engine with two pipelines fewer": (
        Case(spare="b"),
        lambda case: decisions.balance(case, {"a": 2}),
        [Remove(A, words.STOP_DELETE), Put(ENGINES["b"], 0)],
    ),
    "a difference of one is balanced": (Case(spare="b"), lambda case: decisions.balance(case, {"a": 1}), []),
    "minus one instances are balanced": (
        Case(wanted=-1, spare="b"),
        lambda case: decisions.balance(case, {"a": 9}),
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_run_changes_as_the_table_says(name: str) -> None:
    """What is known of a run, and the changes in the order in which they are done."""
    case, decide, expected = CASES[name]
    assert plain(decide(case.open_run())) == plain(expected)


@pytest.mark.parametrize(
    ("warnings", "waits"),
    [
        pytest.param([], False, id="none"),
        pytest.param([NO_ENGINE], True, id="no engine"),
        pytest.param([OVER_THRESHOLDS.format("[http://a]")], True, id="over thresholds"),
        pytest.param([SILENT], False, id="silent engine"),
        pytest.param([SILENT, NO_FAILOVER.format("[http://a]")], False, id="silent engine and no other"),
        pytest.param([SILENT, NO_ENGINE], True, id="silent engine, and one is lacking"),
    ],
)
def test_a_run_waits_for_engines_that_it_lacks(warnings: list[str], waits: bool) -> None:
    """Silence is not answered by one more pipeline."""
    assert decisions.waits_for_engines(Case(warnings=warnings).open_run().run) is waits
