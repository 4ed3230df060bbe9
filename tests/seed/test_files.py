"""Seed documents on disk: three forms, one digest, nothing half written, clear words for what is wrong."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from psrlib.errors import InputError
from psrlib.seed import SeedDocument, load_seed, save_seed, seed_sha256
from psrlib.seed import files as files_module

FORMS = (".json", ".jsonl", ".jsonl.gz")


@pytest.mark.parametrize("form", FORMS)
def test_what_is_saved_is_loaded(rich_seed: SeedDocument, tmp_path: Path, form: str) -> None:
    """Each form gives the same document back, with its digest, and saves to the same bytes again."""
    path = tmp_path / f"seed{form}"
    sha256 = save_seed(rich_seed, path)
    loaded = load_seed(path)
    assert msgspec.structs.replace(loaded, sha256=None) == rich_seed
    assert loaded.sha256 == sha256 == seed_sha256(rich_seed) == seed_sha256(loaded)
    content = path.read_bytes()
    save_seed(loaded, path)
    assert path.read_bytes() == content


def test_a_json_file_is_what_orjson_writes(rich_seed: SeedDocument, tmp_path: Path) -> None:
    """One line of canonical JSON with a final newline."""
    path = tmp_path / "seed.json"
    sha256 = save_seed(rich_seed, path)
    whole = msgspec.structs.replace(rich_seed, sha256=sha256)
    assert path.read_bytes() == orjson.dumps(msgspec.to_builtins(whole)) + b"\n"


def test_a_jsonl_file_has_an_organization_per_line(rich_seed: SeedDocument, tmp_path: Path) -> None:
    """Head, organizations, digest: each line is JSON of its own, compressed or not."""
    save_seed(rich_seed, tmp_path / "seed.jsonl")
    save_seed(rich_seed, tmp_path / "seed.jsonl.gz")
    lines = (tmp_path / "seed.jsonl").read_text().splitlines()
    ids = [json.loads(line)["id"] for line in lines[1:-1]]
    assert ids == [organization.id for organization in rich_seed.organizations]
    assert gzip.decompress((tmp_path / "seed.jsonl.gz").read_bytes()).decode().splitlines() == lines


def test_a_failed_write_leaves_the_old_file(
    tiny_seed: SeedDocument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file takes the name only when it is complete; no temporary file stays."""
    path = tmp_path / "seed.json"
    path.write_text("old")

    def fail(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files_module, "pack", fail)
    with pytest.raises(InputError, match=r"cannot be written .No space left"):
        save_seed(tiny_seed, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_usual_permissions(tiny_seed: SeedDocument, tmp_path: Path) -> None:
    """Temporary files are private; a seed document is not."""
    path = tmp_path / "seed.json"
    save_seed(tiny_seed, path)
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    ("name", "words"),
    [("seed.yaml", "ends with one of .json, .jsonl, .jsonl.gz"), ("seed", "ends with one of")],
)
def test_other_names_are_refused(tiny_seed: SeedDocument, tmp_path: Path, name: str, words: str) -> None:
    """The form is in the name."""
    with pytest.raises(InputError, match=words):
        save_seed(tiny_seed, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_sentence(tiny_seed: SeedDocument, tmp_path: Path) -> None:
    """The message names the file and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"seed\.json: cannot be written"):
        save_seed(tiny_seed, tmp_path / "file" / "seed.json")


def test_a_missing_document_says_how_to_make_one(tmp_path: Path) -> None:
    """The message names the command."""
    with pytest.raises(InputError, match="psr create-json"):
        load_seed(tmp_path / "seed.json")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: d.pop("variables"), "top level: object missing required field `variables`"),
        (lambda d: d.update(surprise=1), "unknown field `surprise`"),
        (lambda d: d.update(format="psr-seed/2"), "format: invalid enum value 'psr-seed/2'"),
        (
            lambda d: d["organizations"][1]["jobs"][2].update(status="RUNNING"),
            'organizations "org-0002" jobs "job-0003" status: invalid enum value \'RUNNING\'',
        ),
        (
            lambda d: d["organizations"][0]["pipelines"][0].update(stages="two"),
            'organizations "org-0001" pipelines "pipeline-0001" stages: expected `int`, got `str`',
        ),
        (lambda d: d["organizations"][0]["users"][0].pop("roles"), 'users "user-0001": object missing'),
        (lambda d: d["organizations"].pop(), '"provenance.num_orgs" says 2, the document has 1'),
        (lambda d: d["variables"].update(engine_host="elsewhere"), '"sha256" does not match the content'),
    ],
    ids=["missing", "unknown", "format", "enum", "type", "nested", "count", "digest"],
)
def test_a_damaged_document_is_one_clear_sentence(
    tiny_seed: SeedDocument, tmp_path: Path, damage: Callable[[Any], None], words: str
) -> None:
    """File, entity and field are named."""
    path = tmp_path / "seed.json"
    save_seed(tiny_seed, path)
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        load_seed(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith("seed.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(tiny_seed: SeedDocument, tmp_path: Path, form: str, part: float) -> None:
    """Whatever the form and wherever it was cut, loading says so."""
    path = tmp_path / f"seed{form}"
    save_seed(tiny_seed, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(InputError, match="seed"):
        load_seed(path)


def test_a_lost_line_is_noticed(tiny_seed: SeedDocument, tmp_path: Path) -> None:
    """A file without one of its organizations is refused; one without its digest was edited."""
    path = tmp_path / "seed.jsonl"
    save_seed(tiny_seed, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[2:]]))
    with pytest.raises(InputError, match="num_orgs"):
        load_seed(path)
    path.write_text("".join(lines[:-1]))
    assert load_seed(path) == tiny_seed


def test_an_edited_document_without_digest_is_accepted(tiny_seed: SeedDocument, tmp_path: Path) -> None:
    """Who removes the digest means the edit."""
    path = tmp_path / "seed.json"
    save_seed(tiny_seed, path)
    document = json.loads(path.read_text())
    document["variables"]["engine_host"] = "10.0.0.1"
    del document["sha256"]
    path.write_text(json.dumps(document, indent=2))
    assert load_seed(path).variables["engine_host"] == "10.0.0.1"


@pytest.fixture(scope="module")
def small_files(tiny_seed: SeedDocument, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One organization with one of each of its entities, in each form."""
    first = tiny_seed.organizations[0]
    provenance = msgspec.structs.replace(tiny_seed.provenance, num_orgs=1)
    document = msgspec.structs.replace(tiny_seed, provenance=provenance, organizations=[first])
    folder = tmp_path_factory.mktemp("small")
    for form in FORMS:
        save_seed(document, folder / f"seed{form}")
    return {form: (folder / f"seed{form}").read_bytes() for form in FORMS}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(FORMS),
    place=st.floats(0, 1, exclude_max=True),
    length=st.integers(0, 3),
    other=st.one_of(
        st.binary(max_size=3),
        st.sampled_from([b"null", b"[]", b"{}", b'"', b"\\n", b"\xff", b"1e400", b"\n", b"-0", b"\\ud800"]),
    ),
)
def test_no_damage_gives_anything_but_a_sentence(
    small_files: dict[str, bytes], tmp_path: Path, form: str, place: float, length: int, other: bytes
) -> None:
    """Bytes replaced, added or lost anywhere: the file is refused in one sentence, or says what it said."""
    content = small_files[form]
    start = int(place * len(content))
    path = tmp_path / f"seed{form}"
    path.write_bytes(content[:start] + other + content[start + length :])
    message = ""
    try:
        document = load_seed(path)
    except InputError as error:
        message = str(error)
    if message:
        assert path.name in message
        assert "\n" not in message
    else:
        path.write_bytes(content)
        assert document.organizations == load_seed(path).organizations
