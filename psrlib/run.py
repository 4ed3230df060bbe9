"""The Control Hub of a run: the embedded one of its folder, or one given by its address."""

import atexit
import json
import os
import random
import shlex
import shutil
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from psrlib.client import ControlHub, Credentials, load_credentials
from psrlib.cluster import Cluster, connect
from psrlib.engines import FleetProcess, fleet_status, start_fleet, stop_fleet
from psrlib.engines.fleet_process import RECORD
from psrlib.engines.identity import FOLDER
from psrlib.errors import InputError, ProcessError
from psrlib.files import replace_file
from psrlib.hub import EMBEDDED, EMBEDDED_PASSWORD
from psrlib.hub.process.hub_process import (
    default_database,
    find_database,
    find_hub,
    last_start,
    look_at_hub,
    start_hub,
    stop_hub,
)
from psrlib.hub.process.sign_up import FILE as CREDENTIALS
from psrlib.hub.process.sign_up import sign_up
from psrlib.hub.process.snapshots import copy_database
from psrlib.lock import RUN_LOCK, find_holder, hold
from psrlib.process import read_record
from psrlib.seed import SeedDocument, load_seed, resolve_variables, save_seed
from psrlib.state import check_address
from psrlib.state.guards import content_names, is_other_content
from psrlib.worker import PASSWORD_VARIABLE

ADOPTION = "adoption.json"  # what a run knows of its 4.x hub
VERIFICATION = ("verified_at", "consistent", "verdict")  # of a report, in the status of a run
WEBHOOK_VARIABLE = "webhook_url"
WEBHOOK_FILE = "webhook.json"
WEBHOOK_PORTS = range(20_000, 30_000)  # below those that systems take for outgoing connections
PORTS_TRIED = 100
_held: dict[Path, ExitStack] = {}  # by notebooks, until they end


@contextmanager
def run_lock(run_dir: str | Path, command: str) -> Iterator[None]:
    """Be the only one at work in the folder of a run; inside a block or notebook that is, nothing happens.

    ``command`` is what others are told.

    Raises
    ------
    ProcessError
        If another process is at work there.
    """
    path = Path(run_dir).resolve() / RUN_LOCK
    if (holder := find_holder(path)) is not None and holder.is_this_process:
        yield
        return
    with hold(path, command, f"run {path.parent}"):
        yield


def hold_run(run_dir: str | Path, command: str) -> None:
    """Hold the lock of `run_lock` until `release_run`, or until this process ends."""
    folder = Path(run_dir).resolve()
    if folder not in _held:
        stack = ExitStack()
        stack.enter_context(run_lock(folder, command))
        _held[folder] = stack


def release_run(run_dir: str | Path) -> None:
    """Give back what `hold_run` took."""
    if stack := _held.pop(Path(run_dir).resolve(), None):
        stack.close()


def open_hub(
    run_dir: Path,
    sch_url: str = EMBEDDED,
    sch_username: str = "admin@admin",
    sch_password: str | None = None,
    *,
    allow_remote: bool = True,
    release: str = "auto",
    credentials: Credentials | None = None,
    scheduler: str | None = None,
    document: SeedDocument | None = None,
    invite_users: str = "",
    **options: Any,
) -> ControlHub:
    """Log in to the Control Hub meant; the embedded one is started, and made, when it is not there.

    The embedded hub (``sch_url="embedded"``) keeps its database in the run's folder. A password of None is
    taken from the environment variable ``PSR_SCH_PASSWORD``; ``allow_remote`` accepts a hub that is not on
    this machine, since populating one has to be meant. ``release`` is ``3``, ``4`` (4.x or later), ``auto``,
    which is 4 where API credentials are given or the run's own hub has them. ``document`` is what is to be
    populated: an embedded 4.x hub gets credentials for its organizations. ``invite_users`` is the mail domain
    at which users of a 4.x hub are invited; empty invites nobody whom this run did not invite before.
    ``scheduler`` is the address of a Dask scheduler whose workers do the work (docs/scale.md). The other
    options are those of `ControlHub`.

    Raises
    ------
    InputError
        If there is no password, or no API credentials, for a hub that is not the embedded one, or it is not
        on this machine.
    ProcessError
        If the embedded hub does not start.
    HubError
        If the hub cannot be reached or refuses the login.
    """
    sch_url, credentials = find_target(run_dir, sch_url, credentials)
    check_release(sch_url, release, credentials)
    password = sch_password or os.environ.get(PASSWORD_VARIABLE)
    if sch_url == EMBEDDED:
        started_here = _is_down(run_dir)
        number = _embedded_release(run_dir, release)
        url, password = start_hub(run_dir, release=number).url, password or EMBEDDED_PASSWORD
    else:
        check_address(sch_url, allow_remote)
        started_here, url, number = False, sch_url, 3 if credentials is None else 4
    if number == 3 and not password:
        raise InputError(
            f"no password for {sch_username} at {url}; set the environment variable {PASSWORD_VARIABLE}"
        )
    try:
        if number == 3:
            hub = ControlHub(url, sch_username, password or "", **options)
        else:
            if credentials is None:
                credentials = _own_credentials(run_dir, url, document, password)
            mail_domain = invite_users or _adoption(run_dir)["mail_domain"]
            hub = ControlHub(url, credentials=credentials, mail_domain=mail_domain, **options)
            _keep_to_organizations(run_dir, hub, document)
        return _with_crew(hub, scheduler, embedded=sch_url == EMBEDDED, **options)
    except BaseException:
        if started_here:
            stop_hub(run_dir)
        raise


def _is_down(run_dir: Path) -> bool:
    """Whether a folder has no embedded hub; one that does not answer may be busy, and is not to be ended."""
    return look_at_hub(run_dir).state == "stopped"


def _embedded_release(run_dir: Path, release: str) -> int:
    """Return of which release the embedded hub of a folder is, or is to be."""
    last = last_start(run_dir).get("release")
    if last is None or release == "auto":
        return int(last or (3 if release == "auto" else release))
    if str(last) != release:
        raise InputError(
            f"the embedded hub of {run_dir} is of release {last}, not {release}; take another folder"
        )
    return int(last)


def _own_credentials(
    run_dir: Path, url: str, document: SeedDocument | None, password: str | None
) -> Credentials:
    """Return the API credentials of a folder's own hub, which makes them for organizations that lack one."""
    file = run_dir / CREDENTIALS
    found = load_credentials(file) if file.exists() else None
    names = {o.id: o.name for o in document.organizations} if document is not None else {}
    if found is None or names.keys() - found.organizations.keys():
        found = load_credentials(sign_up(run_dir, names, admin_password=password))
    return replace(found, url=url)


def _adoption(run_dir: Path) -> dict[str, Any]:
    """Return what a run knows of its 4.x hub: its organizations' ids there, and where users were invited."""
    path = run_dir / ADOPTION
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return {"organizations": {}, "mail_domain": "", **found}


def _keep_to_organizations(run_dir: Path, hub: ControlHub, document: SeedDocument | None) -> None:
    """Refuse credentials of other organizations than those of this run.

    Which organization of a 4.x hub each one of ``document``, which is populated, is, is written down; None
    only reads.

    Raises
    ------
    InputError
        If an earlier populate of this run was of another organization, or of this one for another.
    """
    before = _adoption(run_dir)
    known: dict[str, str] = before["organizations"]
    ours = known.keys() | {o.id for o in document.organizations} if document is not None else known.keys()
    if not ours:
        return
    here = {id: str(row["id"]) for id, row in hub.organizations().items() if id in ours}
    names = {where: id for id, where in known.items()}
    for id, where in here.items():
        if known.get(id, where) != where or names.get(where, id) != id:
            owner, its = (id, known[id]) if id in known else (names[where], where)
            raise InputError(
                f"{owner} of this run is organization {its}, and the API credential of {id} is of {where}; "
                f"take the credential of the other one, or another run folder ({run_dir / ADOPTION})"
            )
    if document is None:
        return
    after = {"organizations": {**known, **here}, "mail_domain": hub.dialect.mail_domain}
    if after != before:
        replace_file(run_dir / ADOPTION, json.dumps(after, indent=1) + "\n")


def find_target(
    run_dir: str | Path, sch_url: str, credentials: Credentials | None
) -> tuple[str, Credentials | None]:
    """Return the address meant, that of the credentials file where none is given besides, and credentials.

    Those that the embedded hub of the folder has made are its own: it needs not run, or has another address
    by now, so they mean ``embedded``.
    """
    if credentials is None or sch_url not in (EMBEDDED, credentials.url):
        return sch_url, credentials
    own = Path(run_dir) / CREDENTIALS
    if own.exists() and load_credentials(own) == credentials:
        return EMBEDDED, None
    return credentials.url, credentials


def check_release(sch_url: str, release: str, credentials: Credentials | None) -> None:
    """Refuse what does not belong together: a release, an address and API credentials.

    Raises
    ------
    InputError
        With what to leave out or to give besides.
    """
    if release == "4" and credentials is None and sch_url != EMBEDDED:
        raise InputError(
            f"a Control Hub 4.x or later ({sch_url}) takes API credentials; give the file with --credentials"
        )
    if credentials is None:
        return
    if release == "3":
        raise InputError(
            "a Control Hub 3.x takes no API credentials; leave out --credentials, or --release 3"
        )
    if sch_url.rstrip("/") != credentials.url.rstrip("/"):
        raise InputError(
            f"the API credentials are for {credentials.url} and are not sent to {sch_url}; leave out "
            "--sch-url, or change the address in the credentials file"
        )


def _with_crew(hub: ControlHub, scheduler: str | None, **options: Any) -> ControlHub:
    """Return a session whose work is done by the workers of a scheduler, if there is one."""
    if scheduler:
        options.pop("organization_password", None)  # each worker has its own
        try:
            hub.crew = Cluster(scheduler, hub, **options)
        except BaseException:
            hub.close()
            raise
    return hub


@contextmanager
def open_to_read(
    run_dir: str | Path,
    sch_url: str = EMBEDDED,
    sch_username: str = "admin@admin",
    sch_password: str | None = None,
    **options: Any,
) -> Iterator[ControlHub]:
    """Log in to a run's hub to read only: in its folder nothing is made, changed or left running.

    An embedded hub that runs is read as it is. Of one that does not, a copy of its database is served from
    a folder for temporary files inside the ``with`` block, without doing anything by itself; before the first
    start that is an empty one. Arguments and errors are those of `open_hub`.
    """
    folder, document = Path(run_dir), options.pop("document", None)
    sch_url, credentials = find_target(folder, sch_url, options.pop("credentials", None))
    if sch_url != EMBEDDED or find_hub(folder) is not None:
        with open_hub(folder, sch_url, sch_username, sch_password, credentials=credentials, **options) as hub:
            yield hub
        return
    number = _embedded_release(folder, options.pop("release", "auto"))
    with TemporaryDirectory(prefix="psr-copy-") as copy, ExitStack() as stack:
        if (database := find_database(folder)) != default_database(folder.resolve()):
            copy_database(folder, database, Path(copy, "hub.db"))
        for file in folder.glob("hub.db*"):
            if not file.name.endswith("-shm"):  # shared memory of a process that is gone
                shutil.copy(file, copy)
        url = stack.enter_context(start_hub(copy, background=False, release=number)).url
        if number == 3:
            yield stack.enter_context(open_hub(Path(copy), EMBEDDED, sch_username, sch_password, **options))
            return
        # what has credentials is read; those for what lacks are made at the first populate
        known = folder if (folder / CREDENTIALS).exists() else Path(copy)
        made = _own_credentials(known, url, None if known is folder else document, EMBEDDED_PASSWORD)
        yield stack.enter_context(open_hub(Path(copy), url, **{**options, "credentials": made}))


@contextmanager
def open_run(
    run_dir: str | Path,
    document: SeedDocument,
    sch_url: str = EMBEDDED,
    sch_username: str = "admin@admin",
    *,
    sch_password: str | None = None,
    command: str = "psr verify",
    **options: Any,
) -> Iterator[ControlHub]:
    """Log in to a run's hub; an embedded hub and its engines that are down are up inside the ``with`` block.

    The folder holds ``hub.db`` and ``engines/``. The variables of the document are resolved; its
    ``webhook_url`` tells the fleet where subscriptions post to. A hub that is up without its engines would
    call them silent, and their jobs red.
    Address, user, password and the other options are those of `open_hub`; ``command`` is that of `run_lock`.

    Raises
    ------
    InputError
        If the folder holds no embedded hub, or no password is set for another one.
    ProcessError
        If another process is at work in the folder of an embedded hub.
    """
    folder = Path(run_dir)
    embedded = find_target(folder, sch_url, options.get("credentials"))[0] == EMBEDDED
    if embedded:
        check_embedded(folder)
    with ExitStack() as stack:
        if embedded:
            stack.enter_context(run_lock(folder, command))
        if embedded and _is_down(folder):
            stack.callback(stop_hub, folder)
        hub = stack.enter_context(open_hub(folder, sch_url, sch_username, sch_password, **options))
        if embedded and document is not None:
            fleet = bring_up_engines(folder, hub.url, document)
            if fleet is not None:
                stack.enter_context(fleet)
        yield hub


def check_embedded(run_dir: Path) -> None:
    """Refuse a folder without an embedded hub, where something is to be done with what one holds.

    Raises
    ------
    InputError
        If no hub runs there and there is no database of one, or its password is not known.
    """
    elsewhere = find_database(run_dir) != default_database(run_dir.resolve())
    if not elsewhere and not (run_dir / "hub.db").exists() and find_hub(run_dir) is None:
        raise InputError(f"{run_dir}: no embedded hub (hub.db) in this folder; populate this run first")


def bring_up_engines(run_dir: Path, hub_url: str, document: SeedDocument) -> FleetProcess | None:
    """Start the mock engines of a run again; None when they run, or never did in this folder."""
    record = read_record(run_dir / FOLDER / RECORD, ["ca_bundle"])
    if record is None or fleet_status(run_dir)["running"]:
        return None
    webhook_url = document.variables.get("webhook_url")
    return start_fleet(run_dir, hub_url, webhook_url, ca_bundle=record["ca_bundle"])


def start_engines(
    run_dir: Path,
    sch_url: str,
    webhook_url: str | None,
    scheduler: str | None = None,
    *,
    again: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Start the mock engines of a run, here or on the workers of a scheduler; return what they do.

    ``again`` replaces those that run; the other options are those of `psrlib.engines.start_fleet`.
    """
    if not scheduler:
        start_fleet(run_dir, sch_url, webhook_url, again=again, **options)
        return fleet_status(run_dir)
    with closing(connect(scheduler)) as client:
        from psrlib.fleets import start_fleets, stop_fleets

        if again:
            stop_fleets(client, run_dir)
        return start_fleets(client, run_dir, sch_url, webhook_url, **options)


def engines_status(run_dir: Path, scheduler: str | None = None) -> dict[str, Any]:
    """Return what the mock engines of a run do, here or on the workers of a scheduler."""
    if not scheduler:
        return fleet_status(run_dir)
    with closing(connect(scheduler)) as client:
        from psrlib.fleets import fleets_status

        return fleets_status(client, run_dir)


def stop_engines(run_dir: Path, scheduler: str | None = None) -> bool:
    """Stop the mock engines of a run, here or on the workers of a scheduler; return whether any ran."""
    if not scheduler:
        return stop_fleet(run_dir)
    with closing(connect(scheduler)) as client:
        from psrlib.fleets import stop_fleets

        return stop_fleets(client, run_dir)


def resolve_run(
    document: SeedDocument,
    run_dir: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    make: bool = True,
) -> SeedDocument:
    """Return the document with its variables resolved for a run, whose own webhook port stands for port 0.

    The port is chosen once, free then, and kept in ``webhook.json`` of the folder, so that runs side by side
    have different ones. Without ``make`` nothing is chosen: before the first populate the port stays 0.

    Raises
    ------
    InputError
        If an override names a variable that the document lacks, or there is no free port.
    """
    values = dict(overrides or {})
    url = values.get(WEBHOOK_VARIABLE, document.variables.get(WEBHOOK_VARIABLE, ""))
    parts = urlsplit(url)
    if parts.hostname and parts.port == 0 and (port := _webhook_port(Path(run_dir), make)):
        netloc = f"{parts.netloc.removesuffix(':0')}:{port}"
        values[WEBHOOK_VARIABLE] = urlunsplit(parts._replace(netloc=netloc))
    return resolve_variables(document, values)


def _webhook_port(run_dir: Path, make: bool) -> int:
    """Return the port that a run keeps, chosen now if that is meant; 0 where there is none."""
    path = run_dir / WEBHOOK_FILE
    record = read_record(path, ["port"])
    if record is not None or not make:
        return int(record["port"]) if record else 0
    port = next(filter(_is_free, random.SystemRandom().sample(WEBHOOK_PORTS, PORTS_TRIED)), None)
    if port is None:
        raise InputError(f"{run_dir}: no free port for webhooks; give one with --set {WEBHOOK_VARIABLE}=URL")
    replace_file(path, json.dumps({"port": port}) + "\n")
    return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def keep_seed(document: SeedDocument, run_dir: Path) -> Path:
    """Write the seed document of a run into its folder and return the file.

    Raises
    ------
    InputError
        If the folder holds the run of another seed document. One of the same content, with other variables
        or more organizations, is replaced.
    """
    path = run_dir / "seed.json"
    if path.exists():
        before = load_seed(path)
        both = {o.id for o in before.organizations} & {o.id for o in document.organizations}
        names, known = (
            content_names(o for o in one.organizations if o.id in both) for one in (document, before)
        )
        if is_other_content(names, known):
            origin = before.provenance
            raise InputError(
                f"{path} is the seed document of another run (random seed {origin.random_seed}, model "
                f"{origin.model}, generator {origin.generator}); take another run_dir, or delete that one"
            )
    save_seed(document, path)
    return path


def stop_at_exit(run_dir: Path, scheduler: str | None = None) -> None:
    """Stop the engines and the embedded hub of a run when this process ends, whether it succeeded or not.

    They stay when another process is at work with them by then.
    """
    atexit.register(_stop_unless_used, run_dir, scheduler)


def _stop_unless_used(run_dir: Path, scheduler: str | None) -> None:
    with suppress(ProcessError), run_lock(run_dir, "the end of a notebook"):
        stop_engines(run_dir, scheduler)
        stop_run(run_dir)


def stop_run(run_dir: Path) -> None:
    """Stop the engines and the embedded hub of a run, those of them that run."""
    stop_fleet(run_dir)
    stop_hub(run_dir)


class RunView:
    """How a run is, looked at as often as wanted: with one session, and the seed document read once.

    A context manager; reads only.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._organizations = {o.id for o in load_seed(run_dir / "seed.json").organizations}
        self._session: ControlHub | None = None

    def __enter__(self) -> "RunView":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def look(self) -> dict[str, Any]:
        """Return how the run is now.

        Keys: ``hub`` (state, url, pid), ``engines`` (`psrlib.engines.fleet_status`), ``jobs`` (number by
        status, with the color of active ones; empty when the embedded hub does not run), ``verification``
        (when and with what verdict the last one was saved in ``report/``; None before).
        """
        hub = look_at_hub(self.run_dir)
        jobs = self._count_jobs(hub.url) if hub.state == "running" else {}
        last = read_record(self.run_dir / "report" / "report.json", VERIFICATION)
        return {
            "hub": {"state": hub.state, "url": hub.url, "pid": hub.pid},
            "engines": fleet_status(self.run_dir),
            "jobs": jobs,
            "verification": last and {key: last[key] for key in VERIFICATION},
        }

    def _count_jobs(self, url: str) -> dict[str, int]:
        if self._session is None or self._session.url != url:  # started again, at another port
            self._close()
            self._session = open_hub(self.run_dir)
        session = self._session
        jobs: Counter[str] = Counter()
        for organization in session.organizations().keys() & self._organizations:
            jobs.update(session.for_organization(organization).jobrunner.counts())
        return dict(sorted(jobs.items()))

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def look_at_run(run_dir: Path) -> dict[str, Any]:
    """Return how a run is; see `RunView.look`."""
    with RunView(run_dir) as view:
        return view.look()


def left_running(run_dir: Path, seed: Path) -> str:
    """Return a sentence on the hub and the engines that run for a folder, with what stops them; else empty.

    ``seed`` is the run's seed document, by which ``psr engines`` knows it.
    """
    hub, fleet = look_at_hub(run_dir), fleet_status(run_dir)
    parts, commands = [], []
    if fleet["running"]:
        parts.append(f"{fleet['engines']} engines (pid {fleet['pid']})")
        commands.append(f"psr engines stop {shlex.quote(str(seed))}")
    elif n_shards := fleet["shards_elsewhere"]:
        parts.append(f"engines on a cluster ({n_shards} shards)")
        commands.append(f"psr engines stop {shlex.quote(str(seed))} --scheduler ADDRESS")
    if hub.state != "stopped":
        parts.append(f"embedded hub {hub.url} (pid {hub.pid})")
        commands.append(f"psr hub stop --run-dir {shlex.quote(str(run_dir))}")
    return f"left running: {', '.join(parts)}; to stop: {' && '.join(commands)}" if parts else ""
