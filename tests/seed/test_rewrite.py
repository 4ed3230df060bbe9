"""Rewriting: what is asked for, counted, and nothing else."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from psrlib.cli import psr
from psrlib.errors import InputError
from psrlib.seed import SeedDocument, load_seed, save_seed
from psrlib.seed.rewrite import load_rules, rewrite_seed, variable_rules

RULES = """
- variable: database_host
  value: db.example.com
- field: users.email
  pattern: '@(org-\\d+)\\.example\\.com$'
  replace: '@\\1.test'
- field: connections.configuration.*
  pattern: 'landing'
  replace: 'landing-test'
- field: jobs.labels
  pattern: '^all$'
  replace: 'background'
"""


def rules_file(folder: Path, text: str) -> Path:
    path = folder / "rules.yaml"
    path.write_text(text)
    return path


def test_a_variable_gets_another_value(rich_seed: SeedDocument) -> None:
    """Only the variable changes; the count says how many texts use it."""
    document, counts = rewrite_seed(rich_seed, variable_rules({"engine_host": "10.0.0.7"}))
    assert document.variables == {**rich_seed.variables, "engine_host": "10.0.0.7"}
    assert document.organizations == rich_seed.organizations
    assert counts == {"variable engine_host": sum(len(o.engines) for o in rich_seed.organizations)}


def test_fields_are_rewritten_and_counted(rich_seed: SeedDocument, tmp_path: Path) -> None:
    """Texts, maps and lists are followed; the counts are those of the changed texts."""
    document, counts = rewrite_seed(rich_seed, load_rules(rules_file(tmp_path, RULES)))
    users = [user for organization in document.organizations for user in organization.users]
    assert all(user.email.endswith(".test") for user in users)
    jobs = [job for organization in document.organizations for job in organization.jobs]
    assert all(job.labels == ["background"] for job in jobs)
    connections = [c for organization in document.organizations for c in organization.connections]
    assert all(c.configuration.get("bucket", "landing-test") == "landing-test" for c in connections)
    n_buckets = sum("bucket" in c.configuration for c in connections)
    assert list(counts.values())[1:] == [len(users), n_buckets, len(jobs)]


def test_the_rest_stays(rich_seed: SeedDocument, tmp_path: Path) -> None:
    """Rewriting back gives the document that it was."""
    back = """
- {field: jobs.labels, pattern: '^background$', replace: all}
- {field: connections.configuration.bucket, pattern: 'landing-test', replace: landing}
- {field: users.email, pattern: '\\.test$', replace: .example.com}
- {variable: database_host, value: 127.0.0.1}
"""
    there, _ = rewrite_seed(rich_seed, load_rules(rules_file(tmp_path, RULES)))
    again, _ = rewrite_seed(there, load_rules(rules_file(tmp_path, back)))
    assert again == rich_seed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not YAML"),
        ("", "expected a list of rules"),
        ("just: one", "expected a list of rules"),
        ("- 7", "rule 1: expected field, pattern and replace"),
        ("- {field: users.email, pattern: x}", "rule 1: expected field, pattern, replace"),
        ("- {variable: x, value: 7}", "rule 1: value: expected text, got 7"),
        ("- {field: users.email, pattern: '(', replace: x}", r"rule 1: pattern '\(' is not a regular"),
        ("- {variable: host, value: x}", "unknown variable 'host'"),
        ("- {field: persons.email, pattern: a, replace: b}", "unknown kind 'persons'"),
        ("- {field: users.mail, pattern: a, replace: b}", "unknown field; User has key, id"),
        ("- {field: users, pattern: a, replace: b}", "unknown field"),
        ("- {field: pipelines.stages, pattern: a, replace: b}", "holds int; only text is rewritten"),
        ("- {field: users.email, pattern: zzz, replace: b}", "matches nothing"),
        ("- {field: users.email, pattern: org, replace: '\\2'}", "does not fit"),
        ("- {field: users.id, pattern: '^[^@]+', replace: same}", "stands twice"),
        ("- {field: jobs.owner, pattern: user, replace: person}", "which the organization lacks"),
    ],
    ids=lambda value: value[:24],
)
def test_bad_rules_are_one_sentence_and_write_nothing(
    tiny_seed: SeedDocument, tmp_path: Path, text: str, words: str
) -> None:
    """Unknown names, bad expressions, rules that match nothing or break the document."""
    with pytest.raises(InputError, match=words) as caught:
        rewrite_seed(tiny_seed, load_rules(rules_file(tmp_path, text)))
    assert "\n" not in str(caught.value)


def test_the_command_writes_a_valid_document(tiny_seed: SeedDocument, tmp_path: Path) -> None:
    """``psr rewrite`` prints a count per rule; the new document has a digest of its own."""
    seed, new = tmp_path / "seed.json", tmp_path / "new.jsonl"
    save_seed(tiny_seed, seed)
    result = CliRunner().invoke(psr, ["rewrite", str(seed), "--set", "engine_host=10.0.0.7", "-o", str(new)])
    assert result.exit_code == 0, result.output
    n_engines = sum(len(organization.engines) for organization in tiny_seed.organizations)
    assert f"variable engine_host: concerns {n_engines} texts" in result.output
    document = load_seed(new)
    assert document.variables["engine_host"] == "10.0.0.7"
    assert document.sha256 is not None
    assert document.sha256 in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "nothing to do"),
        (["--set", "engine_host"], "expected NAME=VALUE"),
    ],
    ids=["nothing", "no-value"],
)
def test_wrong_use_of_the_command_has_status_2(
    tiny_seed: SeedDocument, tmp_path: Path, options: list[str], words: str
) -> None:
    """Nothing is written."""
    seed, new = tmp_path / "seed.json", tmp_path / "new.json"
    save_seed(tiny_seed, seed)
    result = CliRunner().invoke(psr, ["rewrite", str(seed), *options, "-o", str(new)])
    assert result.exit_code == 2
    assert words in result.output
    assert not new.exists()


def test_a_failed_rewrite_leaves_no_file(tiny_seed: SeedDocument, tmp_path: Path) -> None:
    """The error reaches the command's own handler; the output does not exist."""
    seed, new = tmp_path / "seed.json", tmp_path / "new.json"
    save_seed(msgspec.structs.replace(tiny_seed), seed)
    result = CliRunner().invoke(psr, ["rewrite", str(seed), "--set", "nobody=1", "-o", str(new)])
    assert isinstance(result.exception, InputError)
    assert not new.exists()
