"""What holds for every command of `psr`: help, JSON, exit status, speed."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from psrlib.cli import COMMANDS, psr

MAIN = "import sys; sys.argv[0] = 'psr'; from psrlib.cli import main; main()"
PROCESSOR_S = 0.15  # of `psr --help`
PRINTS_A_DOCUMENT = {"hub document"}  # its result is a page of Markdown


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """All commands below a group, by the words that call them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands(psr))
LEAVES = {name: command for name, command in ALL.items() if not isinstance(command, click.Group)}


def test_every_option_and_argument_is_explained() -> None:
    """An option by its help, an argument by its name in the text of the command."""
    for name, command in ALL.items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"
            elif isinstance(parameter, click.Argument):
                assert parameter.make_metavar(click.Context(command)).strip("[]") in command.help, name


def test_every_command_can_answer_in_json() -> None:
    """By the same option; a file to write is --out everywhere."""
    for name in LEAVES.keys() - PRINTS_A_DOCUMENT:
        options = {text: option for option in LEAVES[name].params for text in option.opts}
        assert isinstance(options["--output"].type, click.Choice), name
        assert "-o" not in options or "--out" in options["-o"].opts, name


def test_what_speaks_to_a_hub_takes_a_ca_bundle() -> None:
    """And a profile, wherever the address of one is an option."""
    for name in LEAVES:
        options = {text for option in LEAVES[name].params for text in option.opts}
        wanted = {"--ca-bundle", "--sch-password", "--profile"}
        assert "--sch-url" not in options or name.startswith("profile ") or wanted <= options, name


@pytest.mark.parametrize("command", [("hub", "start", "--port"), ("engines", "start", "x", "--status-port")])
@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused(command: tuple[str, ...], port: str) -> None:
    """By its range."""
    result = CliRunner().invoke(psr, [*command, port])
    assert result.exit_code == 2
    assert "port" in result.output


def test_words_are_apart_from_json(tmp_path: Path) -> None:
    """What is asked for is said on standard output also with -q, as words or as JSON."""
    words = CliRunner().invoke(psr, ["-q", "hub", "status", "--run-dir", str(tmp_path)])
    told = CliRunner().invoke(psr, ["hub", "status", "--run-dir", str(tmp_path), "--output", "json"])
    assert words.exit_code == told.exit_code == 3
    assert words.stdout.startswith("stopped")
    assert json.loads(told.stdout)["state"] == "stopped"


def test_help_takes_little_of_the_processor() -> None:
    """No more than a shell's prompt: the library is imported by the command that needs it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", MAIN, "--help"], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert re.search(r"populate +Create", done.stdout)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 2 * PROCESSOR_S, f"{spent:.3f} s"  # twice: the machine of a test is busy
    wanted = (
        "import psrlib.cli, sys; print([m for m in ('numpy', 'requests', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", wanted], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


FITTING = ("joblib", "scipy", "sklearn", "threadpoolctl")  # a third of a container image


def test_what_only_fitting_needs_is_loaded_by_nothing_else() -> None:
    """All commands but `psr fit` do without scipy and scikit-learn: the image of the command has neither."""
    modules = sorted({f"psrlib.cli.{module}" for module in COMMANDS.values()})
    modules += [
        f"psrlib.{room}"
        for room in ("cluster", "collect", "fleets", "hub.server", "plots", "verify", "watch")
    ]
    code = f"import sys, {', '.join(modules)}; print([m for m in {FITTING} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_scikit_learn_fit_says_where_it_is(tmp_path: Path) -> None:
    """One sentence, with what is missing and which image has it."""
    code = f"import sys; sys.modules.update(dict.fromkeys({FITTING})); {MAIN}"
    command = [sys.executable, "-c", code, "fit", str(tmp_path), "-o", str(tmp_path / "model.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(
        r"psr: psr fit needs (scipy|sklearn|joblib)\S*, which .* psr:lab has it.*\n", done.stderr
    )


@pytest.mark.parametrize(
    ("words", "number", "expected"),
    [("psr pop", 1, "populate"), ("psr hub sn", 2, "snapshot"), ("psr verify --ca", 2, "--ca-bundle")],
)
def test_a_shell_completes_commands_and_options(words: str, number: int, expected: str) -> None:
    """As the documentation of the command says."""
    asked = {"_PSR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    done = subprocess.run(
        [sys.executable, "-c", MAIN], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert f"plain,{expected}\n" in done.stdout
