"""The documentation: a reference without gaps, commands that exist, an example that a CI server can run."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from psrlib.cli import psr

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
REFERENCE = re.findall(r"^::: (\S+)$", "\n".join(p.read_text() for p in DOCS.glob("api/*.md")), re.MULTILINE)
PUBLIC = [
    ".".join(("psrlib", *path.parent.relative_to(ROOT / "psrlib").parts))
    for path in sorted((ROOT / "psrlib").rglob("__init__.py"))
    if "__all__" in path.read_text() and "hub" not in path.parts
]
COMMAND = re.compile(r"^ *(?:run: )?(psr [^#\n|>&]+)", re.MULTILINE)
DEPLOYED = [ROOT / "compose.yaml", *sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))]
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), ROOT / "deploy" / "ci" / "psr.yml"]


@pytest.mark.parametrize("package", PUBLIC)
def test_the_reference_has_every_public_name(package: str) -> None:
    """A function named like its module is hidden by it, and named itself."""
    assert package in REFERENCE
    folder = ROOT / package.replace(".", "/")
    hidden = [n for n in importlib.import_module(package).__all__ if (folder / f"{n}.py").exists()]
    assert {f"{package}.{name}.{name}" for name in hidden} <= set(REFERENCE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_exists_with_its_options(page: Path) -> None:
    """Nothing is run: the words are looked up."""
    for line in COMMAND.findall(page.read_text().replace("\\\n", " ")):
        command: click.Command = psr
        words = shlex.split(line.replace("...", ""))[1:]
        while isinstance(command, click.Group) and words:
            words = words[1:] if words[0] in ("-q", "-v", "-vv") else words
            found = command.get_command(click.Context(command), words[0])
            if found is None:
                break
            command, words = found, words[1:]
        known = {text for option in (*command.params, *psr.params) for text in option.opts}
        known |= {text for option in command.params for text in getattr(option, "secondary_opts", ())}
        options = {word.split("=")[0] for word in words if word.startswith("-")} - {"-h", "--help"}
        assert options <= known, f"{page.name}: {line}"


def containers(node: Any) -> Iterator[dict[str, Any]]:
    """Return whatever names an image, at any depth of a manifest or of compose.yaml."""
    if isinstance(node, dict):
        if "image" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from containers(child)


@pytest.mark.parametrize("file", DEPLOYED, ids=lambda file: file.name)
def test_every_container_is_given_a_command_that_psr_takes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is read as it would be in its container: options, values, and what must be given."""
    for name in ("PSR_SCHEDULER", "PSR_ENGINE_STORE", "PSR_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    n_read = 0
    for document in yaml.safe_load_all(file.read_text()):
        for container in containers(document):
            in_kubernetes = "name" in container  # where "command" stands for the entry point
            words = container.get("args" if in_kubernetes else "command")
            if container["image"] != "psr:psr" or not words or (in_kubernetes and "command" in container):
                continue
            words = [re.sub(r"\$\((SCH|WEBHOOK)_URL\)", "http://hub", word) for word in words]
            words = [
                re.sub(r"\$\(\w+\)|\$\{\w+:-(\w+)\}", r"\g<1>" if "{" in word else "1", word)
                for word in words
            ]
            command: click.Command = psr
            while isinstance(command, click.Group):
                found = command.get_command(click.Context(command), words[0])
                assert found is not None, words
                command, words = found, words[1:]
            command.make_context("psr", list(words))
            n_read += 1
    assert n_read or file.name == "settings.yaml"


def test_the_example_for_a_ci_server_brings_up_verifies_and_stops() -> None:
    """Reports are kept and noise is stopped also when a step before has failed."""
    workflow = yaml.safe_load((ROOT / "deploy" / "ci" / "psr.yml").read_text())
    steps = workflow["jobs"]["psr"]["steps"]
    runs = [step.get("run", "") for step in steps]
    assert [run.split()[1] for run in runs if run.startswith("psr ")] == ["up", "verify", "down"]
    assert all(
        step.get("if") == "always()" for step in steps[runs.index(next(r for r in runs if "verify" in r)) :]
    )
