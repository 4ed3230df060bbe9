"""``psr hub``: start, stop and save the embedded Control Hub."""

from pathlib import Path

import click

from psrlib import paths
from psrlib.files import replace_file


@click.group()
def hub() -> None:
    """Run the embedded Control Hub."""


RUN_DIR = click.option(
    "--run-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: paths.runs() / "hub",
    show_default="runs/hub",
    help="Folder of the database and of hub.json.",
)


@hub.command()
@RUN_DIR
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=18631, show_default=True, help="Port; 0 takes a free one.")
@click.option("--db", "db_url", help="SQLAlchemy URL; default: SQLite file hub.db in the run directory.")
@click.option("--strict", is_flag=True, help="Refuse fields and types that a real hub may not know.")
def start(run_dir: Path, host: str, port: int, db_url: str | None, strict: bool) -> None:
    """Start the hub in its own process."""
    from psrlib.hub.process.hub_process import start_hub

    process = start_hub(run_dir, host, port, db_url, strict=strict)
    click.echo(f"embedded hub: {process.url} (pid {process.pid}, {run_dir})")


@hub.command()
@RUN_DIR
def stop(run_dir: Path) -> None:
    """Stop the hub of a run directory."""
    from psrlib.hub.process.hub_process import stop_hub

    click.echo("stopped" if stop_hub(run_dir) else f"no hub runs in {run_dir}")


NAME = click.option("--name", default="populated", show_default=True, help="Name of the snapshot.")
DB = click.option("--db", "db_url", help="SQLAlchemy URL, when the hub does not use hub.db.")


@hub.command()
@RUN_DIR
@NAME
@DB
def snapshot(run_dir: Path, name: str, db_url: str | None) -> None:
    """Save the database of a hub, running or not."""
    from psrlib.hub.process.snapshots import save_snapshot

    click.echo(f"saved: {save_snapshot(run_dir, name, db_url)}")


@hub.command()
@RUN_DIR
@NAME
@DB
def restore(run_dir: Path, name: str, db_url: str | None) -> None:
    """Bring a snapshot back; a running hub is restarted on its port."""
    from psrlib.hub.process.snapshots import restore_snapshot

    process = restore_snapshot(run_dir, name, db_url)
    click.echo(f"restored; the hub runs again at {process.url}" if process else "restored")


@hub.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File; default: print.")
def document(output: Path | None) -> None:
    """Write the table of all endpoints (docs/embedded-hub.md)."""
    from psrlib.hub.catalog import hub_documentation

    text = hub_documentation()
    if output is None:
        click.echo(text, nl=False)
        return
    click.echo(f"written: {replace_file(output, text)}")
