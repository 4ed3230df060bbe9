"""``psr hub``: start, stop, find and save the embedded Control Hub."""

import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from psrlib import paths
from psrlib.cli.options import FILE, FOLDER, PORT, SEED, SET, has_terminal
from psrlib.cli.output import OUTPUT, answer, say
from psrlib.files import replace_file
from psrlib.hub import DATABASE_VARIABLE, PASSWORD_VARIABLE
from psrlib.lock import RUN_LOCK, check_free, hold
from psrlib.process import end_when_told

if TYPE_CHECKING:
    from psrlib.hub.process.hub_process import HubProcess, HubState

NOT_RUNNING = 3  # exit status of `psr hub status`, as of any status command (Linux Standard Base, 22.2)


PEM = click.Path(exists=True, dir_okay=False, resolve_path=True)


@click.group()
def hub() -> None:
    """Run the embedded Control Hub."""


RUN_DIR = click.option(
    "--run-dir",
    type=FOLDER,
    default=lambda: paths.runs() / "hub",
    show_default="runs/hub",
    help="Folder of the database and of hub.json.",
)


@hub.command()
@RUN_DIR
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=18631, type=PORT, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--db",
    "db_url",
    help=f"SQLAlchemy URL, at first; with a password better in {DATABASE_VARIABLE} [default: hub.db].",
)
@click.option("--strict", is_flag=True, help="Refuse fields and types that a real hub may not know.")
@click.option(
    "--release",
    type=click.Choice(["3", "4"]),
    default="3",
    show_default=True,
    callback=lambda context, option, value: int(value),
    help="Release of Control Hub that it is.",
)
@click.option(
    "--rate-limit",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Answer 429 to more than N calls a second of an organization's users; 0: never.",
)
@click.option(
    "--foreground", is_flag=True, help="Serve in this process until SIGTERM; log on standard output."
)
@click.option("--tls-certificate", "certificate", type=PEM, help="PEM file: https.")
@click.option("--tls-key", "key", type=PEM, help="PEM file with the certificate's key.")
@click.option("--public-url", default="", metavar="URL", help="Address that engines reach it by.")
@click.option(
    "--webhook-host",
    "webhook_hosts",
    multiple=True,
    metavar="HOST",
    help="Host that webhooks may call besides loopback; * for any.",
)
@click.option(
    "--admin-password",
    envvar=PASSWORD_VARIABLE,
    help=f"New password of admin@admin, needed beyond loopback; better in {PASSWORD_VARIABLE}.",
)
@OUTPUT
def start(
    run_dir: Path,
    host: str,
    port: int,
    db_url: str | None,
    admin_password: str | None,
    foreground: bool,
    **options: Any,
) -> None:
    """Start the hub in its own process."""
    if foreground:
        end_when_told()
    from psrlib.hub.process.hub_process import start_hub

    password = admin_password or _ask_password(run_dir, host)
    if db_url is None and not (run_dir / "hub.json").exists():
        db_url = os.environ.get(DATABASE_VARIABLE)
    if foreground:
        from psrlib.hub.process.serve import serve_here

        check_free(run_dir / RUN_LOCK, f"run {run_dir}")
        serve_here(run_dir, host, port, db_url, admin_password=password, **options)
        return
    with hold(run_dir / RUN_LOCK, "psr hub start", f"run {run_dir}"):
        process = start_hub(run_dir, host, port, db_url, admin_password=password, **options)
    say(f"embedded hub: {process.url} (pid {process.pid}); to stop: psr hub stop {_where(run_dir)}")
    answer(_process(process))


def _ask_password(run_dir: Path, host: str) -> str | None:
    """Ask for the administrator's password at the first start beyond loopback, where somebody is there."""
    from psrlib.hub.web.origin import is_loopback

    if is_loopback(host) or not has_terminal() or (run_dir / "hub.json").exists():
        return None
    prompt = "New password of admin@admin"
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))


@hub.command()
@RUN_DIR
@OUTPUT
def stop(run_dir: Path) -> None:
    """Stop the hub of a run directory."""
    from psrlib.hub.process.hub_process import stop_hub

    stopped = stop_hub(run_dir)
    say("stopped" if stopped else f"no hub runs in {run_dir}")
    answer({"run_dir": run_dir, "stopped": stopped})


@hub.command("list")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@OUTPUT
def list_hubs(folder: Path | None) -> None:
    """List the embedded hub of every run below FOLDER [default: runs]: running, not answering or stopped."""
    from psrlib.hub.process.hub_process import find_hubs

    folder = folder or paths.runs()
    found = find_hubs(folder)
    answer([_record(state) for state in found], "\n".join(map(_line, found)))
    if not found:
        click.echo(f"no run with an embedded hub below {folder}", err=True)


@hub.command()
@RUN_DIR
@OUTPUT
def status(run_dir: Path) -> None:
    """Tell whether the hub of a run directory runs: exit status 0 when it answers, 3 when not."""
    from psrlib.hub.process.hub_process import look_at_hub

    state = look_at_hub(run_dir)
    answer(_record(state), _line(state))
    sys.exit(0 if state.state == "running" else NOT_RUNNING)


def _process(process: "HubProcess") -> dict[str, object]:
    return {"url": process.url, "pid": process.pid}


def _record(state: "HubState") -> dict[str, object]:
    return {**asdict(state), "run_dir": str(state.run_dir)}


def _line(state: "HubState") -> str:
    pid = since = ""
    if state.state != "stopped":
        where = "" if state.is_near else ", in another container or on another machine"
        pid, since = f"pid {state.pid}", f" (since {state.since}{where})"
    return f"{state.state:14} {pid:12} {state.url or '-':28} {state.run_dir}{since}"


def _where(run_dir: Path) -> str:
    return f"--run-dir {shlex.quote(str(run_dir))}"


@hub.command()
@RUN_DIR
@SEED
@SET
@click.option(
    "-o",
    "--out",
    "output",
    type=FILE,
    help="File that only its owner may read [default: credentials.json beside hub.json].",
)
@click.option(
    "--admin-password",
    envvar=PASSWORD_VARIABLE,
    help=f"Password of admin@admin, where it is not the initial one; better in {PASSWORD_VARIABLE}.",
)
@OUTPUT
def credentials(
    run_dir: Path, seed: Path, settings: dict[str, str], output: Path | None, admin_password: str | None
) -> None:
    """Make the organizations of SEED.json at a hub of release 4, and a file of API credentials for them.

    It plays what people do in the browser, where organizations of release 4 come from: for each one of
    SEED.json an organization with an administrator and one API credential, and one of the system
    administrator. What the file has already is left as it is.
    """
    from psrlib.hub.process.sign_up import sign_up
    from psrlib.seed import load_seed, resolve_variables

    document = resolve_variables(load_seed(seed), settings)
    names = {organization.id: organization.name for organization in document.organizations}
    file = sign_up(run_dir, names, output, admin_password=admin_password)
    say(f"written: {file} ({len(names)} organizations)")
    answer({"credentials": file, "organizations": len(names)})


NAME = click.option("--name", default="populated", show_default=True, help="Name of the snapshot.")
DB = click.option(
    "--db",
    "db_url",
    help=f"SQLAlchemy URL [default: of the hub's last start; a password comes from {DATABASE_VARIABLE}].",
)


@hub.command()
@RUN_DIR
@NAME
@DB
@OUTPUT
def snapshot(run_dir: Path, name: str, db_url: str | None) -> None:
    """Save the database of a hub, running or not."""
    from psrlib.hub.process.snapshots import save_snapshot

    saved = save_snapshot(run_dir, name, db_url)
    say(f"saved: {saved}")
    answer({"run_dir": run_dir, "snapshot": saved})


@hub.command()
@RUN_DIR
@NAME
@DB
@OUTPUT
def restore(run_dir: Path, name: str, db_url: str | None) -> None:
    """Bring a snapshot back; a running hub is restarted on its port."""
    from psrlib.hub.process.snapshots import restore_snapshot

    with hold(run_dir / RUN_LOCK, "psr hub restore", f"run {run_dir}"):
        process = restore_snapshot(run_dir, name, db_url)
    words = "restored"
    if process is not None:
        words += f"; the hub runs again at {process.url}; to stop: psr hub stop {_where(run_dir)}"
    say(words)
    answer({"run_dir": run_dir, "name": name, "hub": process and _process(process)})


@hub.command()
@click.option("-o", "--out", "output", type=FILE, help="File; default: print.")
def document(output: Path | None) -> None:
    """Write the table of all endpoints (docs/embedded-hub.md)."""
    from psrlib.hub.catalog import hub_documentation

    text = hub_documentation()
    if output is None:
        click.echo(text, nl=False)
        return
    say(f"written: {replace_file(output, text)}")
