"""``psr engines``: the mock engines of a seed document, or the configuration of real ones."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from psrlib.cli.options import FILE, FOLDER, PORT, SCHEDULER, STORE, check_store_use, hub_options, together
from psrlib.cli.output import OUTPUT, answer, say
from psrlib.cli.state import open_document, open_hub, working
from psrlib.errors import InputError
from psrlib.hub import EMBEDDED
from psrlib.process import end_when_told

if TYPE_CHECKING:
    from psrlib.engines import EngineIdentity
    from psrlib.seed import SeedDocument

SEED = click.argument(
    "seed", metavar="SEED.json", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
ELSEWHERE = " here, but on a cluster: give --scheduler"


def _shard(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, int]:
    """Return number and count of an ``I/N``; everything is 0 of 1."""
    if text is None:
        return 0, 1
    parts = text.split("/")
    if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
        number, count = int(parts[0]), int(parts[1])
        if number < count:
            return number, count
    raise click.BadParameter(f"{text!r}: expected I/N, a number from 0 to N-1 and how many there are")


start_options = together(
    hub_options,
    SCHEDULER,
    STORE,
    click.option(
        "--behaviour",
        type=FILE,
        help="Table of transitions (JSON); default: everything is healthy.",
    ),
    click.option(
        "--max-pipelines",
        type=click.IntRange(min=1),
        help="Pipelines an engine can run at once, 22 on a real one with its default; default: any number.",
    ),
    click.option(
        "--event-ms",
        type=click.IntRange(min=0),
        default=25,
        show_default=True,
        help="How long a SAVE or a START keeps an engine from polling; about 250 on a real one.",
    ),
    click.option(
        "--shard",
        metavar="I/N",
        callback=_shard,
        help="Engines of every N-th organization only, from the I-th (0 to N-1) on: for N machines, each "
        "with a copy of SEED.json in a folder of its own.",
    ),
    click.option(
        "--status-port", default=0, type=PORT, help="Port of status and Prometheus text; 0: a free one."
    ),
    click.option(
        "--listen",
        default="127.0.0.1",
        show_default=True,
        help="Address that status and webhook sink listen on; 0.0.0.0 in a container.",
    ),
    OUTPUT,
)


@click.group()
def engines() -> None:
    """Run the mock engines of a seed document, or configure real ones."""


@engines.command()
@start_options
@click.option(
    "--foreground", is_flag=True, help="Run them in this process until SIGTERM; log on standard output."
)
def start(seed: Path, foreground: bool, **options: Any) -> None:
    """Start the engines of SEED.json; tokens that are lacking are asked for at the hub."""
    if foreground:
        if options.pop("scheduler"):
            raise click.UsageError("--foreground runs the engines in this process: leave out --scheduler")
        _run_here(seed, **options)
        return
    with working(seed, "psr engines start"):
        _start(seed, **options)


@engines.command()
@start_options
def restart(seed: Path, **options: Any) -> None:
    """Stop the engines of SEED.json and start the same ones again; they go on with what they were running."""
    with working(seed, "psr engines restart"):
        _start(seed, again=True, **options)


@engines.command()
@SEED
@SCHEDULER
@OUTPUT
def stop(seed: Path, scheduler: str | None) -> None:
    """Stop the engines of SEED.json; they stay registered."""
    from psrlib.run import engines_status, stop_engines

    stopped = stop_engines(_run_dir(seed), scheduler)
    elsewhere = not scheduler and engines_status(_run_dir(seed)).get("shards_elsewhere")
    say("engines stopped" if stopped else "no engines were running" + ELSEWHERE * bool(elsewhere))
    answer({"stopped": stopped})


@engines.command()
@SEED
@SCHEDULER
@OUTPUT
def status(seed: Path, scheduler: str | None) -> None:
    """Tell what the engines of SEED.json are doing."""
    from psrlib.run import engines_status

    found = engines_status(_run_dir(seed), scheduler)
    words = ("engines", "registered", "polling", "refused", "pipelines_running", "webhooks_received")
    shard = "shard {shard} on worker {worker}: {engines} engines, {address}"
    lines = [
        "running" if found["running"] else "not running" + ELSEWHERE * bool(found.get("shards_elsewhere")),
        ", ".join(f"{found[word]} {word.replace('_', ' ')}" for word in words),
        *(f"error {error}: {number}" for error, number in found["errors"].items()),
        *(f"refused {refusal}" for refusal in found["refusals"]),
        *(shard.format_map(one) for one in found.get("shards", ())),
        *(f"not started: {error}" for error in found.get("not_started", ())),
    ]
    answer(found, "\n".join(lines))


@engines.command()
@hub_options
@click.option(
    "-o",
    "--out",
    "output",
    required=True,
    type=FOLDER,
    help="Folder to write, with one for each organization in it.",
)
@click.option(
    "--sch-authoring-sdc", "authoring_url", metavar="URL", help="Engine named as author; default: the first."
)
@OUTPUT
def configure(
    seed: Path, settings: dict[str, str], output: Path, authoring_url: str | None, **where: Any
) -> None:
    """Write the configuration of real engines in place of the mock ones of SEED.json."""
    from psrlib.engines.configure import configure_engines
    from psrlib.seed.capacity import engine_needs, max_pipelines

    with working(seed, "psr engines configure"):
        document = open_document(seed, settings)
        limit = max_pipelines(document.variables)
        needs = {(o.id, key): n for o in document.organizations for key, n in engine_needs(o).items()}
        identities, sch_url = _identities(seed, document, where)
        folders = configure_engines(
            identities, sch_url, output, authoring_url=authoring_url, max_pipelines=limit, needs=needs
        )
        say(f"{len(identities)} engines of {len(folders)} organizations configured in {output}")
        answer({"folder": output, "engines": len(identities), "organizations": len(folders)})


def _open_shard(seed: Path, settings: dict[str, str], shard: tuple[int, int]) -> "SeedDocument":
    from msgspec.structs import replace

    document = open_document(seed, settings)
    number, count = shard
    return replace(document, organizations=document.organizations[number::count])


def _start(
    seed: Path,
    settings: dict[str, str],
    status_port: int,
    shard: tuple[int, int],
    scheduler: str | None,
    *,
    again: bool = False,
    **options: Any,
) -> None:
    from psrlib.engines import fleet_status, start_fleet
    from psrlib.run import start_engines

    fleet_options, where = _split(options)
    document = _open_shard(seed, settings, shard)
    _, sch_url = _identities(seed, document, where, fleet_options["store"])
    webhook_url = document.variables.get("webhook_url")
    if scheduler:
        if shard != (0, 1) or status_port:
            raise click.UsageError(
                "with --scheduler shards and ports are chosen: leave out --shard, --status-port"
            )
        found = start_engines(_run_dir(seed), sch_url, webhook_url, scheduler, again=again, **fleet_options)
        where_they_are = ", ".join("{shard} on {worker}".format_map(shard) for shard in found["shards"])
        say(f"{found['polling']} of {found['engines']} engines poll {sch_url} (shards {where_they_are})")
        return
    fleet = start_fleet(
        _run_dir(seed), sch_url, webhook_url, status_port=status_port, again=again, **fleet_options
    )
    found = fleet_status(_run_dir(seed))
    say(
        f"{found['polling']} of {found['engines']} engines poll {sch_url} (pid {fleet.pid}, "
        f"status {fleet.status_url}/status, {fleet.status_url}/metrics)"
    )
    answer({**found, "status_url": fleet.status_url})


def _run_here(
    seed: Path, settings: dict[str, str], status_port: int, shard: tuple[int, int], **options: Any
) -> None:
    end_when_told()
    from psrlib.engines.fleet_process import fleet_settings
    from psrlib.engines.serve import run_here

    fleet_options, where = _split(options)
    with working(seed, "psr engines start --foreground"):
        document = _open_shard(seed, settings, shard)
        _, sch_url = _identities(seed, document, where, fleet_options["store"])
        told = fleet_settings(_run_dir(seed), sch_url, document.variables.get("webhook_url"), **fleet_options)
    run_here(_run_dir(seed), {**told, "status_port": status_port})


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the fleet, and those that tell which hub is meant."""
    fleet = ("behaviour", "max_pipelines", "event_ms", "listen", "store")
    return (
        {name: options[name] for name in (*fleet, "ca_bundle")},
        {name: value for name, value in options.items() if name not in fleet},
    )


def _identities(
    seed: Path, document: "SeedDocument", where: dict[str, Any], store: str | None = None
) -> tuple[list["EngineIdentity"], str]:
    """Return the identity of every engine of the document, and the address of the hub."""
    from psrlib.engines import load_identities, save_identities
    from psrlib.engines.database import EngineDatabase
    from psrlib.hub.process.hub_process import start_hub
    from psrlib.run import check_embedded
    from psrlib.state import check_address, setup_engines

    check_store_use(store, where["sch_url"])
    wanted = {(o.id, engine.key) for o in document.organizations for engine in o.engines}
    identities: list[EngineIdentity] = []
    if store:
        with EngineDatabase(store, where["sch_url"]) as database:
            stored = database.load([o.id for o in document.organizations])
        identities = [i for i in stored if (i.organization, i.key) in wanted]
    else:
        with suppress(InputError):
            identities = load_identities(_run_dir(seed))
    if {(i.organization, i.key) for i in identities} != wanted:
        with open_hub(seed, **where) as hub:
            return list(setup_engines(document, hub, _run_dir(seed), store)), hub.url
    if store:
        save_identities(_run_dir(seed), identities)
    if where["sch_url"] == EMBEDDED:
        check_embedded(_run_dir(seed))
        return identities, start_hub(_run_dir(seed)).url
    check_address(where["sch_url"], where["allow_remote"])
    return identities, where["sch_url"]


def _run_dir(seed: Path) -> Path:
    return seed.resolve().parent
