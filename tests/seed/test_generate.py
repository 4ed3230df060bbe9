"""Seed documents from a model: the same whatever the number of organizations and of processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from psrlib import paths
from psrlib.cli import psr
from psrlib.errors import InputError
from psrlib.model import NoiseModel
from psrlib.seed import create_seed, create_seed_file, load_seed, seed_sha256
from psrlib.seed.files import BLOCK


def test_a_larger_document_extends_a_smaller_one(rich_model: NoiseModel) -> None:
    """Organization i does not depend on how many there are."""
    few, many = create_seed(rich_model, 7, 5), create_seed(rich_model, 7, 2 * BLOCK + 5)
    assert many.organizations[:5] == few.organizations


def test_provenance_says_what_it_was_made_from(rich_model: NoiseModel) -> None:
    """Random seed, count, model name and digest."""
    provenance = create_seed(rich_model, 7, 3).provenance
    assert (provenance.random_seed, provenance.num_orgs, provenance.model) == (7, 3, "rich")
    assert provenance.model_sha256 == rich_model.sha256


def test_other_random_seeds_give_other_documents(rich_model: NoiseModel) -> None:
    """Two seeds share nothing but the model; only tenants with nothing but an administrator can be alike."""
    first, second = (create_seed(rich_model, seed, 20).organizations for seed in (7, 8))
    pairs = [pair for pair in zip(first, second, strict=True) if any(o.pipelines for o in pair)]
    assert len(pairs) >= 10
    assert all(a != b for a, b in pairs)


@pytest.mark.parametrize("form", [".json", ".jsonl", ".jsonl.gz"])
def test_the_number_of_processes_does_not_matter(rich_model_file: Path, tmp_path: Path, form: str) -> None:
    """Files written by one, two and five processes are equal, and so is the document made in memory."""
    n = 4 * BLOCK + 3
    files = [tmp_path / f"{workers}{form}" for workers in (1, 2, 5)]
    digests = {
        create_seed_file(rich_model_file, 7, n, file, workers)
        for file, workers in zip(files, (1, 2, 5), strict=True)
    }
    assert len({file.read_bytes() for file in files}) == 1
    assert digests == {seed_sha256(create_seed(NoiseModel.load(rich_model_file), 7, n))}
    assert load_seed(files[0]).sha256 in digests


@pytest.mark.parametrize(("random_seed", "num_orgs"), [(2**63, 1), (1, -1)])
def test_impossible_numbers_are_refused(rich_model: NoiseModel, random_seed: int, num_orgs: int) -> None:
    """Both must fit what every JSON reader can hold."""
    with pytest.raises(InputError, match=r"random seed|number of organizations"):
        create_seed(rich_model, random_seed, num_orgs)


def test_creating_documents_needs_no_tables_library() -> None:
    """Importing pandas takes longer than drawing a thousand organizations."""
    heavy = "{'pandas', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)"
    code = f"import sys, psrlib.seed, psrlib.cli.seed; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def run(*arguments: object) -> str:
    result = CliRunner().invoke(psr, ["create-json", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_takes_the_original_flags(tmp_path: Path) -> None:
    """Random seed, number, sample schema and data model root choose what is drawn."""
    path = tmp_path / "seed.json"
    output = run("--random-seed", 7, "--num-orgs", 3, "--use-sample-schema", "-o", path)
    document = load_seed(path)
    assert (document.provenance.random_seed, len(document.organizations)) == (7, 3)
    assert document.provenance.model_sha256 == NoiseModel.load(paths.SAMPLE_MODEL).sha256
    assert str(document.sha256) in output


def test_a_data_model_root_is_searched(rich_model_file: Path, tmp_path: Path) -> None:
    """The fitted model of that root is taken, its sample if asked for."""
    models = tmp_path / "root" / "models"
    models.mkdir(parents=True)
    for name, label in (("model.json", "fitted"), ("sample.json", "sample")):
        content = json.loads(rich_model_file.read_text()) | {"name": label}
        (models / name).write_text(json.dumps(content))
    path = tmp_path / "seed.json"
    for options, label in (((), "fitted"), (("--use-sample-schema",), "sample")):
        run("--num-orgs", 1, "--data-model-root", tmp_path / "root", "-o", path, *options)
        assert load_seed(path).provenance.model == label


def test_a_missing_model_is_one_sentence(tmp_path: Path) -> None:
    """The message names the file; no document appears."""
    result = CliRunner().invoke(
        psr, ["create-json", "--data-model-root", str(tmp_path), "-o", str(tmp_path / "seed.json")]
    )
    assert isinstance(result.exception, InputError)
    assert "sample.json" in str(result.exception)
    assert not (tmp_path / "seed.json").exists()


@pytest.mark.long
def test_memory_does_not_grow_with_the_number_of_organizations(rich_model_file: Path, tmp_path: Path) -> None:
    """Twelve times as many organizations need at most a fifth more memory."""
    memory = []
    for n in (1000, 12_000):
        command = [str(Path(sys.executable).with_name("psr")), "create-json", "--model", str(rich_model_file)]
        process = subprocess.Popen([*command, "--num-orgs", str(n), "-o", str(tmp_path / "s.jsonl.gz")])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        memory.append(usage.ru_maxrss)
    assert memory[1] < 1.2 * memory[0]


def test_owners_may_create_what_they_own() -> None:
    """Whoever owns a pipeline, job, task or connection has the roles to create it."""
    needed = {
        "pipelines": "pipelinestore:pipelineEditor",
        "jobs": "jobrunner:operator",
        "scheduled_tasks": "scheduler:operator",
        "subscriptions": "notification:user",
        "connections": "connection:editor",
        "topologies": "topology:editor",
    }
    checked = 0
    for organization in create_seed(NoiseModel.load(paths.MODEL), 19071990, 60).organizations:
        roles = {user.key: user.roles for user in organization.users}
        for kind, role in needed.items():
            for entity in getattr(organization, kind):
                assert role in roles[entity.owner], (organization.id, kind, entity.key)
                checked += 1
    assert checked > 1000
