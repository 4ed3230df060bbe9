"""``psr watch``: a run live; a hub recorded while a PSR runs; two recordings compared."""

import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Timer
from typing import TYPE_CHECKING, Any

import click

from psrlib.cli import options
from psrlib.cli.output import OUTPUT, answer, is_json, is_quiet, say
from psrlib.hub import EMBEDDED

if TYPE_CHECKING:
    from psrlib.client import ControlHub
    from psrlib.watch.recording import Sample

RECORDING = click.Path(exists=True, dir_okay=False, path_type=Path)
COULD_NOT_TELL = 3  # exit status of a comparison; 1 is for backgrounds that differ
CLEAR = "\x1b[H\x1b[J"  # cursor to the top, and nothing below it


@click.command()
@click.argument("run", metavar="[RUN]", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--record",
    "file",
    metavar="FILE",
    type=options.FILE,
    help="Record the hub call by call, as JSON lines; a recording that is there is gone on with.",
)
@click.option("--compare", "both", nargs=2, metavar="A B", type=RECORDING, help="Compare two recordings.")
@click.option(
    "--report",
    "directory",
    type=options.FOLDER,
    help="Folder for background.html and background.json, with --compare.",
)
@click.option(
    "--rate",
    "rate_per_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Calls a second of a recording [default: 1 for 200 engines, at least 0.1, at most 5].",
)
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    help="Seconds between two looks at a run.",
)
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds until it ends by itself; default: Ctrl-C.",
)
@options.SCH_URL
@options.session_options
@OUTPUT
def watch(
    run: Path | None,
    file: Path | None,
    both: tuple[Path, Path] | None,
    directory: Path | None,
    rate_per_s: float | None,
    every_s: float,
    duration_s: float | None,
    **where: Any,
) -> None:
    """Watch a run live, record a hub while a PSR runs, or compare two recordings.

    RUN is the folder of a run, or its seed document.

    \b
    psr watch RUN                     psr status, live
    psr watch RUN --record FILE       few calls, evenly spaced; Ctrl-C ends it with a summary
    psr watch --sch-url URL --record FILE     any other hub: all its organizations
    psr watch --compare A B           had both PSRs the same background? 0 same, 1 different, 3 could not tell
    """
    if both:
        _compare(*both, directory)
        return
    if run is None and (file is None or where["sch_url"] == EMBEDDED):
        raise click.UsageError(
            "expected RUN, the folder of a run, or --sch-url URL --record FILE, or --compare A B"
        )
    with _until_told() as stop:
        timer = Timer(duration_s or 0, stop.set)
        timer.daemon = True
        begin = timer.start if duration_s else lambda: None
        if file is not None:
            _record(run, file, rate_per_s, stop, begin, where)
        elif run is not None:
            begin()
            _look(_seed_of(run).parent, every_s, stop)


@contextmanager
def _until_told() -> Iterator[Event]:
    """Yield an event that Ctrl-C and SIGTERM set."""
    stop = Event()
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda *_: stop.set()) for kind in kinds]
    try:
        yield stop
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _seed_of(run: Path) -> Path:
    from psrlib.errors import InputError

    seed = run / "seed.json" if run.is_dir() else run
    if not seed.exists():
        raise InputError(f"{run}: no run there (seed.json); psr up makes one")
    return seed.resolve()


def _look(folder: Path, every_s: float, stop: Event) -> None:
    """Show how a run is, again and again: in place on a terminal, else a line when something has changed."""
    from psrlib.cli.up import describe
    from psrlib.errors import HubError
    from psrlib.run import RunView

    before = ""
    with RunView(folder) as view:
        while True:
            try:
                found = view.look()
            except HubError as error:  # it went away between two calls
                click.echo(f"{_now()}  {error}", err=True)
            else:
                words = describe(folder, found)
                if is_json():
                    click.echo(json.dumps({"at": _now(), **found}))
                elif sys.stdout.isatty():
                    lines = [f"{name:9} {text}" for name, text in words.items()]
                    click.echo(CLEAR + "\n".join([*lines, f"{_now()}  every {every_s:g} s; Ctrl-C ends"]))
                else:
                    line = "; ".join(f"{name} {words[name]}" for name in ("hub", "engines", "jobs"))
                    if line != before:
                        click.echo(f"{_now()}  {line}")
                    before = line
            if stop.wait(every_s):
                return


def _now() -> str:
    from datetime import datetime

    return datetime.now().astimezone().isoformat(timespec="seconds")


def _record(
    run: Path | None,
    file: Path,
    rate_per_s: float | None,
    stop: Event,
    begin: Callable[[], None],
    where: dict[str, Any],
) -> None:
    """Record a hub until told to stop, then tell what was seen and what it cost."""
    import time

    from psrlib.watch import load_background, watch_hub
    from psrlib.watch.recording import FORMAT, RecordingFile, Start
    from psrlib.watch.report import describe

    seed = _seed_of(run) if run else None
    with _open(seed, where) as hub:
        names, digest = _watched(seed, hub)
        start = Start(FORMAT, time.time(), hub.url, hub.server_version(), names, rate_per_s or 0.0, digest)
        recording = RecordingFile(file, start)
        progress = _Progress(len(names))
        begin()
        try:
            for sample in watch_hub(hub, names, rate_per_s, stop):
                recording.append(sample)
                progress.tell(sample)
        finally:
            recording.close()
            progress.end()
    background = load_background(file)
    answer(background.facts(), "\n".join([f"recorded  {file}", *describe(background)]))


def _open(seed: Path | None, where: dict[str, Any]) -> "ControlHub":
    """Log in to the hub of a run, or the one given; an embedded one must run."""
    from psrlib.cli.state import open_hub
    from psrlib.errors import InputError
    from psrlib.hub.process.hub_process import find_hub
    from psrlib.watch.recorder import WAIT_S

    if where["sch_url"] == EMBEDDED and seed is not None and find_hub(seed.parent) is None:
        raise InputError(f"{seed.parent}: no embedded hub runs there; psr up starts it")
    return open_hub(seed or Path("seed.json"), timeout_s=WAIT_S, deadline_s=WAIT_S, **where)


def _watched(seed: Path | None, hub: "ControlHub") -> tuple[list[str], str]:
    """Return the organizations to look at, those of the seed document or all, and that document's digest."""
    from psrlib.errors import InputError
    from psrlib.seed import load_seed, seed_sha256

    present = [name for name, row in hub.organizations().items() if row.get("active", True)]
    digest = ""
    if seed is not None:
        document = load_seed(seed)
        names, digest = [o.id for o in document.organizations if o.id in set(present)], seed_sha256(document)
    elif hub.dialect.adopts:
        names = present
    else:
        names = [name for name in present if name != hub.organization]  # the administrator's own
    if not names:
        raise InputError(f"{hub.url} holds none of the organizations to watch; populate it first")
    return names, digest


class _Progress:
    """One line in place on a terminal; without one, a line when the hub goes away or comes back."""

    def __init__(self, n_organizations: int) -> None:
        from psrlib.watch.background import State

        self._state, self._n_organizations = State(), n_organizations
        self._is_away = False
        self._n_samples = self._n_restarts = 0
        self._in_place = sys.stderr.isatty() and not is_quiet()

    def tell(self, sample: "Sample") -> None:
        """Tell of a sample."""
        self._n_samples += 1
        self._n_restarts += self._state.take(sample)
        is_away = bool(sample.outage)
        if is_away != self._is_away and not self._in_place and not is_quiet():
            click.echo(
                f"{_now()}  {'no answer: ' + sample.outage if is_away else 'the hub answers again'}", err=True
            )
        self._is_away = is_away
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1
            click.echo("\r\x1b[K" + self._line(sample)[:width], err=True, nl=False)

    def _line(self, sample: "Sample") -> str:
        totals = self._state.totals()
        engines, responding, pipelines = (totals.pop(name) for name in ("engines", "responding", "pipelines"))
        jobs = ", ".join(f"{n} {status}" for status, n in sorted(totals.items()))
        answer = "no answer" if sample.outage else f"{1000 * sample.took_s:.0f} ms"
        return (
            f"{self._n_samples} calls, {self._state.n_seen()} of {self._n_organizations} organizations seen; "
            f"{answer}; engines {responding} of {engines} respond, {self._n_restarts} started again, "
            f"{pipelines} pipelines; jobs {jobs}"
        )

    def end(self) -> None:
        """End the line."""
        if self._in_place and self._n_samples:
            click.echo("", err=True)


def _compare(a: Path, b: Path, directory: Path | None) -> None:
    from psrlib.watch import compare, load_background
    from psrlib.watch.report import save_comparison, table

    comparison = compare(load_background(a), load_background(b))
    if directory:
        from psrlib import plots

        say(f"report: {save_comparison(comparison, directory, plots.watch_pictures(comparison))}")
    answer(comparison.summary(), f"{table(comparison)}\n{comparison.verdict}")
    sys.exit({"same": 0, "different": 1}.get(comparison.outcome, COULD_NOT_TELL))
