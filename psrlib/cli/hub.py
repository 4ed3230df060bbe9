"""``psr hub``: start, stop and save the embedded Control Hub."""

from pathlib import Path

import click

from psrlib import paths


@click.group()
def hub() -> None:
    """Run the embedded Control Hub."""


RUN_DIR = click.option(
    "--run-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=paths.RUNS / "hub",
    show_default="runs/hub",
    help="Folder of the database and of hub.json.",
)


@hub.command()
@RUN_DIR
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=18631, show_default=True, help="Port; 0 takes a free one.")
@click.option("--db", "db_url", help="SQLAlchemy URL; default: SQLite file hub.db in the run directory.")
def start(run_dir: Path, host: str, port: int, db_url: str | None) -> None:
    """Start the hub in its own process."""
    from psrlib.hub.process import start_hub

    process = start_hub(run_dir, host, port, db_url)
    click.echo(f"embedded hub: {process.url} (pid {process.pid}, {run_dir})")


@hub.command()
@RUN_DIR
def stop(run_dir: Path) -> None:
    """Stop the hub of a run directory."""
    from psrlib.hub.process import stop_hub

    click.echo("stopped" if stop_hub(run_dir) else f"no hub runs in {run_dir}")
