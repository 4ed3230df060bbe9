"""Starting and stopping the embedded hub as a process of its own."""

import json
import logging
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from psrlib.errors import InputError, ProcessError
from psrlib.files import replace_file
from psrlib.hub import DATABASE_VARIABLE, PASSWORD_VARIABLE
from psrlib.lock import find_holder, hold
from psrlib.process import end_process, fetch, read_record, start_process, wait_started

logger = logging.getLogger(__name__)
MODULE = "psrlib.hub.process.serve"
RECORD = "hub.json"
LOCK = "hub.lock"  # held by the hub as long as it lives
PORT_ATTEMPTS = 20  # 50 ms apart
HEALTH = "/public-rest/v1/health"
HIDDEN = "***"  # what SQLAlchemy shows of a password


@dataclass(frozen=True)
class HubOptions:
    """How an embedded hub behaves, the same at every start of it unless told otherwise.

    Attributes
    ----------
    background : bool
        Whether it does anything by itself: failover, scheduled tasks, webhooks.
    strict : bool
        Whether it refuses fields that it does not know, and values of a wrong type in definitions.
    certificate, key : str or None
        PEM files for TLS; None for plain HTTP.
    public_url : str
        Address that engines reach it by; empty for the one it listens on.
    webhook_hosts : tuple of str
        Hosts that webhooks may call besides loopback; ``*`` for any.
    release : int
        Release of Control Hub that it is: 3 or 4.
    rate_limit : int
        Calls that the users of an organization may make a second; 0 for any number.
    """

    background: bool = True
    strict: bool = False
    certificate: str | None = None
    key: str | None = None
    public_url: str = ""
    webhook_hosts: tuple[str, ...] = ()
    release: int = 3
    rate_limit: int = 0

    @classmethod
    def parse(cls, text: str) -> "HubOptions":
        """Return the options of a JSON text, as `json.dumps` of `dataclasses.asdict` makes it."""
        values = json.loads(text)
        return cls(**values | {"webhook_hosts": tuple(values.get("webhook_hosts", ()))})

    def check(self) -> None:
        """Refuse half of what TLS needs, and files that are not there; InputError names the file."""
        if bool(self.certificate) != bool(self.key):
            raise InputError("TLS needs both files: --tls-certificate and --tls-key")
        if self.certificate:
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                    self.certificate, self.key
                )
            except (OSError, ssl.SSLError) as error:
                raise InputError(
                    f"{self.certificate} with {self.key}: expected a certificate and its key in PEM: {error}"
                ) from error


@dataclass
class HubProcess(AbstractContextManager["HubProcess"]):
    """A running embedded hub; as a context manager it is stopped at the end.

    ``run_dir`` holds ``hub.json``, ``hub.lock``, ``hub.db`` and ``hub.log``; ``url`` is such as ``http://127.0.0.1:18631``.
    """

    run_dir: Path
    url: str
    pid: int

    def __exit__(self, *_: object) -> None:
        stop_hub(self.run_dir)


def start_hub(
    run_dir: str | Path,
    host: str = "127.0.0.1",
    port: int = 0,
    db_url: str | None = None,
    *,
    admin_password: str | None = None,
    **options: Any,
) -> HubProcess:
    """Start the embedded hub in its own process and wait until it is healthy.

    Parameters
    ----------
    run_dir : path
        Folder of the run; a hub that already runs there is returned as it is.
    host : str
        Address to listen on; loopback unless told otherwise.
    port : int
        Port; 0 takes a free one (the one of the last start in this folder, when it is free).
    db_url : str or None
        SQLAlchemy URL; None means that of the last start (`find_database`).
    admin_password : str or None
        New password of the system administrator; a hub beyond loopback needs one, now or at an earlier start.
    **options
        Those of `HubOptions`.

    Raises
    ------
    InputError
        When the options are wrong, or the password of the database is not known.
    ProcessError
        When the port is in use, the process does not become healthy, or another one was started meanwhile.
    """
    chosen = HubOptions(**options)
    chosen.check()
    folder = Path(run_dir).resolve()
    if (running := find_hub(folder)) is not None:
        return running
    database = db_url or find_database(folder)
    with bind(folder, host, port, chosen) as (listener, url):
        log, fd = folder / "hub.log", listener.fileno()
        settings = [str(folder), str(fd), url, json.dumps(asdict(chosen))]
        secrets = {DATABASE_VARIABLE: database, PASSWORD_VARIABLE: admin_password or ""}
        pid = start_process(MODULE, settings, log, pass_fds=[fd], environment=secrets)

    def look() -> HubProcess | None:
        found = find_hub(folder)
        return found if found is not None and found.pid == pid else None

    return wait_started(pid, "embedded hub", log, look)


def find_hub(run_dir: str | Path) -> HubProcess | None:
    """Return the hub that runs for a folder and answers, or None."""
    found = look_at_hub(run_dir)
    return HubProcess(found.run_dir, found.url, found.pid) if found.state == "running" else None


def stop_hub(run_dir: str | Path) -> bool:
    """Stop the hub of a folder; return whether one was running.

    Raises
    ------
    ProcessError
        When it runs in another container, or does not end.
    """
    return end_process(Path(run_dir).resolve() / LOCK)


@dataclass(frozen=True)
class HubState:
    """What is known of the hub of a folder; not answering means that it is starting, or stuck.

    ``pid`` is 0 and ``since`` empty for a stopped hub; ``url`` is that of the last start.
    ``is_near`` tells whether the process number is one of this container.
    """

    run_dir: Path
    state: Literal["running", "not answering", "stopped"]
    url: str
    pid: int
    since: str
    is_near: bool


def look_at_hub(run_dir: str | Path) -> HubState:
    """Return the state of the hub of a folder; reads only."""
    folder = Path(run_dir).resolve()
    holder, record = find_holder(folder / LOCK), _read_record(folder) or {}
    url = str(record.get("url", ""))
    if holder is None:
        return HubState(folder, "stopped", url, 0, "", True)
    answers = record.get("pid") == holder.pid and _healthy(url)
    state: Literal["running", "not answering"] = "running" if answers else "not answering"
    return HubState(folder, state, url, holder.pid, holder.since, holder.is_near)


def last_start(run_dir: str | Path) -> dict[str, Any]:
    """Return host, port and options of the last start of a folder's hub, as `start_hub` takes them.

    Examples
    --------
    >>> last_start("/nowhere")
    {}
    """
    record = _read_record(Path(run_dir).resolve()) or {}
    options = HubOptions.parse(json.dumps(record["options"])) if "options" in record else None
    place = {name: record[name] for name in ("host", "port") if name in record}
    return place | (asdict(options) if options else {})


def find_hubs(folder: str | Path) -> list[HubState]:
    """Return the hub of every run in a folder and below it, in the order of their paths."""
    records = Path(folder).resolve().rglob(RECORD)
    return [look_at_hub(record.parent) for record in sorted(records)]


def default_database(folder: Path) -> str:
    """Return the URL of the SQLite file of a run."""
    return f"sqlite:///{folder / 'hub.db'}"


def find_database(run_dir: str | Path) -> str:
    """Return the SQLAlchemy URL of a run's database: that of the last start, else ``hub.db`` of the folder.

    ``hub.json`` keeps no password: the variable `DATABASE_VARIABLE` has the URL with it, and is asked for
    nothing else, as there may be several runs.

    Raises
    ------
    InputError
        When the URL has a password that the variable does not tell.
    """
    folder = Path(run_dir).resolve()
    shown = str((_read_record(folder) or {}).get("db_url", default_database(folder)))
    url = make_url(shown)
    if url.get_backend_name() == "sqlite" and Path(url.database or "").name == "hub.db":
        return default_database(folder)  # the folder may have been moved, or copied
    if url.password != HIDDEN:
        return shown
    given = os.environ.get(DATABASE_VARIABLE, "")
    if _without_password(given) != shown:
        raise InputError(
            f"{folder / RECORD}: the hub of this run has its data in {shown}, and its password is not kept; "
            f"set the environment variable {DATABASE_VARIABLE} to this URL with the password"
        )
    return given


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return ""


@contextmanager
def bind(folder: Path, host: str, port: int, options: HubOptions) -> Iterator[tuple[socket.socket, str]]:
    """Listen for the hub of a folder, which is made when it lacks; yield the socket and its URL.

    Raises
    ------
    ProcessError
        When the port is in use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    last = _read_record(folder)
    with _listen(host, port, last["port"] if last else 0) as listener:
        scheme = "https" if options.certificate else "http"
        yield listener, f"{scheme}://{_reachable(host)}:{listener.getsockname()[1]}"


@contextmanager
def hub_record(
    folder: Path, listener: socket.socket, url: str, database: str, options: HubOptions
) -> Iterator[None]:
    """Hold the lock of a folder's hub and tell in ``hub.json`` where it is; for the process that serves.

    Raises
    ------
    ProcessError
        When another process serves this folder, maybe in another container.
    """
    with hold(folder / LOCK, "embedded hub", f"{folder} has a hub already"):
        host, bound = listener.getsockname()[:2]
        record: dict[str, Any] = {"url": url, "pid": os.getpid(), "port": bound, "host": host}
        record |= {"db_url": _without_password(database), "options": asdict(options)}
        replace_file(folder / RECORD, json.dumps(record, indent=1) + "\n")
        logger.info("embedded hub listens on %s, pid %d", url, os.getpid())
        yield


def _listen(host: str, port: int, preferred: int) -> socket.socket:
    # A hub that was killed a moment ago holds its port until the system has cleaned up after it.
    attempts = [port] if port else [preferred] * PORT_ATTEMPTS + [0] if preferred else [0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in attempts:
        try:
            return socket.create_server((host, candidate), family=family, backlog=4096)
        except OSError as error:
            refused = error
            time.sleep(0.05)
    raise ProcessError(
        f"embedded hub cannot listen on {host}:{attempts[-1]}: {os.strerror(refused.errno or 0)}; "
        "choose another --port, or stop what uses it"
    ) from refused


def _reachable(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _healthy(url: str) -> bool:
    return b"alive" in (fetch(url + HEALTH, timeout_s=5) or b"")


def _read_record(folder: Path) -> dict[str, Any] | None:
    return read_record(folder / RECORD, ("url", "pid", "port"))
