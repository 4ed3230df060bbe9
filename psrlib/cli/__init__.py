"""The ``psr`` command: each subcommand is one library call."""

import importlib
import logging
import signal
import sys

import click

from psrlib.errors import PsrError

# subcommand -> module of this package that defines it; imported only when used, so `psr --help` is instant
COMMANDS = {
    "up": "up",
    "status": "up",
    "watch": "watch",
    "down": "up",
    "create-json": "seed",
    "rewrite": "seed",
    "fit": "model",
    "hub": "hub",
    "engines": "engines",
    "doctor": "doctor",
    "credentials": "credentials",
    "populate": "state",
    "start-jobs": "state",
    "teardown": "state",
    "verify": "verify",
    "collect": "collect",
    "profile": "profile",
    "notebooks": "notebooks",
}

TERMINATED = 143  # as of a shell: 128 and the number of the signal


class InterruptionError(PsrError):
    """Ctrl-C."""

    exit_status = 130  # as of a shell, too


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when the subcommand is used."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand; an interruption becomes an error that says what to do."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            text = "interrupted; what is done stays, and the same command goes on"
            raise InterruptionError(text) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"psrlib.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", count=True, help="-v: what is done; -vv: every request.")
@click.option("-q", "--quiet", is_flag=True, help="Errors, and what was asked for; no words on what is done.")
@click.version_option(package_name="psr-db-populator")
def psr(verbose: int, quiet: bool) -> None:
    """Fill an empty StreamSets Control Hub with reproducible background noise."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    level = logging.ERROR if quiet else level
    layout = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level, format=layout, stream=sys.stderr)


def main() -> None:
    """Run ``psr``; an error of the kit becomes one sentence on stderr and its exit status.

    SIGTERM ends it as Ctrl-C does, with 143: the first process of a container, which this may be, would not
    get it otherwise, and be killed when its grace is over.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        psr()
    except PsrError as error:
        click.echo(f"psr: {error}", err=True)
        sys.exit(error.exit_status)
