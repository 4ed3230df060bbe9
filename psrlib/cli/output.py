"""What a command prints: words for people, or one JSON document for programs."""

from collections.abc import Callable
from typing import Any

import click

FORM = "psrlib.cli.output"  # key of click's context, whichever subcommand sets it


def _keep(context: click.Context, option: click.Parameter, form: str) -> None:
    context.meta[FORM] = form


OUTPUT: Callable[[Any], Any] = click.option(
    "--output",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    expose_value=False,
    callback=_keep,
    help="Print words, or one JSON document and all words on standard error.",
)


def is_json() -> bool:
    """Whether the command under way was asked for JSON."""
    return click.get_current_context().meta.get(FORM) == "json"


def is_quiet() -> bool:
    """Whether ``psr -q`` was called."""
    return bool(click.get_current_context().find_root().params.get("quiet"))


def say(words: str) -> None:
    """Print words on what is done: on standard error beside JSON, nowhere with ``-q``."""
    if words and not is_quiet():
        click.echo(words, err=is_json())


def answer(record: Any, words: str = "") -> None:
    """Print the result: the record as JSON, or its words, also with ``-q``, for they were asked for.

    Commands whose words tell what they did `say` them, and give none here.
    """
    if is_json():
        import orjson

        options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
        click.echo(orjson.dumps(record, default=str, option=options))
    elif words:
        click.echo(words)
