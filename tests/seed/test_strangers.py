"""Seed documents and rules from strangers: refused in one sentence, at loading, before they take memory."""

import copy
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.memory import run_measured

from psrlib import bounds
from psrlib.errors import InputError
from psrlib.seed import SeedDocument, load_seed, pipeline_definition, resolve_variables, rewrite
from psrlib.seed.rewrite import load_rules, rewrite_seed
from psrlib.words import KINDS

MANY = 100_000  # organizations, in 1 MB
PEAK_MB = 300  # of a process that meets all attacks one after the other
Change = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def plain(rich_seed: SeedDocument) -> Any:
    """A document of one organization with some of every kind, as JSON values and without digest."""
    first = next(o for o in rich_seed.organizations if all(getattr(o, kind) for kind in KINDS))
    provenance = msgspec.structs.replace(rich_seed.provenance, num_orgs=1)
    document = msgspec.structs.replace(rich_seed, provenance=provenance, organizations=[first])
    return msgspec.to_builtins(document) | {"sha256": None}


def write(folder: Path, document: Any) -> Path:
    path = folder / "seed.json"
    path.write_text(json.dumps(document))
    return path


def entity(kind: str, **fields: Any) -> Change:
    """Return what changes the first entity of a kind."""
    return lambda organization: organization[kind][0].update(fields)


def template_of_itself(organization: dict[str, Any]) -> None:
    template = next(job for job in organization["jobs"] if job["is_template"])
    template["template"] = template["key"]


def templates_in_a_circle(organization: dict[str, Any]) -> None:
    first, second = (job for job in organization["jobs"][:2])
    for one, other in ((first, second), (second, first)):
        one.update(is_template=True, status="INACTIVE", template=other["key"])


ATTACKS: dict[str, tuple[Change, str]] = {
    "a key that leaves the folder": (
        entity("engines", key="../../x"),
        r"key: expected `str` of letters, .* got '\.\./\.\./x'",
    ),
    "a key of dots": (entity("engines", key=".."), "begins with a letter or digit, got '..'"),
    "a key with a line break": (entity("users", key="user-0001\n"), "key: expected `str` of letters"),
    "an endless key": (entity("users", key="a" * 10**6), "key: expected `str` of length <= 100"),
    "an organization that leaves the folder": (
        lambda organization: organization.update(id="../x"),
        r"id: expected `str` of letters, .* got '\.\./x'",
    ),
    "a user of another organization": (
        entity("users", id="admin@elsewhere"),
        'field "id": expected <name>@org-.* got "admin@elsewhere"',
    ),
    "NUL in a name": (entity("pipelines", name="a\0b"), "name: .* without line breaks and other control"),
    "NUL in a parameter": (
        entity("pipelines", parameters={"A": "\0"}),
        "parameters .*without the character NUL",
    ),
    "a line of properties in a label": (
        entity("engines", labels=["all\ndpm.base.url=http://x"]),
        "labels .*without line breaks",
    ),
    "stages that fill the memory": (
        entity("pipelines", stages=10**8),
        r"stages: expected `int` <= 1000, got",
    ),
    "stages beyond 64 bits": (entity("pipelines", stages=10**30), "stages: "),
    "commits without end": (entity("pipelines", commits=10**8), "commits: expected `int` <= 1000"),
    "instances without end": (entity("jobs", instances=10**9), "instances: expected `int` <= 10000"),
    "labels without end": (entity("jobs", labels=["x"] * 1001), "labels: expected `array` of length <= 1000"),
    "parameters without end": (
        entity("jobs", parameters={str(i): "" for i in range(1001)}),
        "parameters: expected `object` of length <= 1000",
    ),
    "groups without end": (
        lambda organization: organization.update(groups=organization["groups"][:1] * 100_001),
        "groups: expected `array` of length <= 100000",
    ),
    "a template of itself": (template_of_itself, "a job template is no instance of a template"),
    "templates in a circle": (templates_in_a_circle, "a job template is no instance of a template"),
    "a negative limit": (
        lambda organization: organization["config"].update(max_jobs=-5),
        "max_jobs: expected `int` >= 0",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_one_sentence(plain: Any, tmp_path: Path, name: str) -> None:
    """The field is named, with its bound."""
    change, words = ATTACKS[name]
    document = copy.deepcopy(plain)
    change(document["organizations"][0])
    with pytest.raises(InputError, match=words) as caught:
        load_seed(write(tmp_path, document))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_document_itself_is_in_order(plain: Any, tmp_path: Path) -> None:
    """What the attacks begin with loads, so each is refused for what it changes."""
    assert load_seed(write(tmp_path, plain)).organizations


def test_variables_cannot_bring_in_what_texts_may_not_hold(plain: Any, tmp_path: Path) -> None:
    """A text is checked again when its variables have their values."""
    document = copy.deepcopy(plain)
    document["variables"]["engine_host"] = "x\ny"
    with pytest.raises(InputError, match=r"variables resolved: engines .*url: .*without line breaks"):
        resolve_variables(load_seed(write(tmp_path, document)))
    document["variables"]["engine_host"] = "x" * bounds.MAX_TEXT
    with pytest.raises(InputError, match=r"make 2\d\d\d characters of the text .*engine_host.*at most 2000"):
        resolve_variables(load_seed(write(tmp_path, document)))


def test_variables_that_multiply_take_no_memory(plain: Any, tmp_path: Path) -> None:
    """800 kB of texts that would be 320 MB: refused at the first of them."""
    document = copy.deepcopy(plain)
    document["variables"]["a"] = "x" * bounds.MAX_TEXT
    document["organizations"][0]["connections"][0]["configuration"] = {
        f"k{n}": "${a}" * 400 for n in range(400)
    }
    loaded = load_seed(write(tmp_path, document))
    tracemalloc.start()
    with pytest.raises(InputError, match="make 800000 characters of the text"):
        resolve_variables(loaded)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


def test_an_expression_that_never_ends_is_given_up(
    tiny_seed: SeedDocument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups that repeat and hold what repeats try more ways than there is time."""
    monkeypatch.setattr(rewrite, "PATIENCE_S", 0.2)
    path = tmp_path / "rules.yaml"
    path.write_text("- {field: users.email, pattern: '(([a-z0-9.@-])+)+X', replace: x}")
    with pytest.raises(InputError, match=r"pattern .*: not done with one text after"):
        rewrite_seed(tiny_seed, load_rules(path))


RULES = {
    "an alias bomb": (
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
        ),
        "aliases are not allowed",
    ),
    "a file without end": ("x" * 1_000_001, "more than 1,000,000 bytes"),
    "nesting": ("[" * 5000, "not YAML"),
    "a number of a thousand digits": (f"- {{variable: a, value: {'9' * 5000}}}", "not YAML|put it in quotes"),
    "a date that is none": ("- {variable: a, value: 2020-99-99}", "not YAML"),
    "an object": ("- !!python/object/apply:os.system [id]", "not YAML"),
    "a long text": (f"- {{variable: a, value: '{'x' * 3000}'}}", "expected at most 2000"),
    "bytes": ("\x00\x01", "not YAML"),
}


@pytest.mark.parametrize("name", RULES)
def test_rules_of_strangers_are_one_sentence(tmp_path: Path, name: str) -> None:
    """Neither aliases nor depth nor size take memory."""
    text, words = RULES[name]
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        load_rules(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_rule_that_makes_texts_grow_is_stopped(tiny_seed: SeedDocument, tmp_path: Path) -> None:
    """An expression that matches everywhere multiplies its replacement."""
    path = tmp_path / "rules.yaml"
    path.write_text(f"- {{field: users.email, pattern: '', replace: '{'x' * 1000}'}}")
    with pytest.raises(InputError, match=r"makes a text of \d+ characters; expected at most 2000"):
        rewrite_seed(tiny_seed, load_rules(path))


def packed_zeros(path: Path) -> None:
    """Write a gzip file of 1 MB that unpacks to 200 MB, without taking memory for it."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(bytes(1 << 20))


def packed_organizations(path: Path, plain: Any) -> None:
    """Write a small gzip file of very many organizations, each with an id of its own."""
    head = {name: plain[name] for name in ("format", "provenance", "variables")}
    head["provenance"] = head["provenance"] | {"num_orgs": MANY}
    lists: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    user = plain["organizations"][0]["users"][0] | {"groups": []}
    with gzip.open(path, "wb") as file:
        file.write(json.dumps(head).encode() + b"\n")
        for number in range(MANY):
            id_ = f"o{number}"
            users = [user | {"id": f"admin@{id_}"}]
            config = {"subscriptions_enabled": True}
            organization = {"id": id_, "name": id_, "archetype": "a", "config": config, **lists}
            file.write(json.dumps(organization | {"users": users}).encode() + b"\n")


MEET = """
import sys
from psrlib.errors import InputError
from psrlib.seed import load_seed
from psrlib.seed.rewrite import load_rules
for path in sys.argv[1:]:
    try:
        (load_rules if path.endswith(".yaml") else load_seed)(path)
        print("loaded", path)
    except InputError as error:
        print(error)
"""


def test_no_attack_takes_memory(plain: Any, tmp_path: Path) -> None:
    """One process meets them all, packed ones too, and stays below 300 MB."""
    paths = []
    for number, (change, _) in enumerate(ATTACKS.values()):
        document = copy.deepcopy(plain)
        change(document["organizations"][0])
        paths.append(write(tmp_path, document).rename(tmp_path / f"attack-{number}.json"))
    for number, (text, _) in enumerate(RULES.values()):
        paths.append(tmp_path / f"rules-{number}.yaml")
        paths[-1].write_text(text)
    zeros, many, deep = (tmp_path / name for name in ("zeros.jsonl.gz", "many.jsonl.gz", "deep.json"))
    packed_zeros(zeros)
    packed_organizations(many, plain)
    deep.write_text('{"a":' * 10**6)
    sentences, peak_mb = run_measured(MEET, *map(str, [*paths, zeros, many, deep]))
    assert len(sentences) == len(paths) + 3
    assert not [sentence for sentence in sentences if sentence.startswith("loaded")]
    assert any("zeros.jsonl.gz: a line of more than 67,108,864 bytes" in text for text in sentences)
    assert any("many.jsonl.gz: unpacks to more than 25 times its size" in text for text in sentences)
    assert peak_mb < PEAK_MB


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        [
            "",
            "..",
            "a/b",
            "\0",
            "\ud800",
            "user-0001",
            "job-0001",
            "${x}",
            "${engine_host}",
            "0 0 * * * ?",
            2**63,
        ]
    ),
    st.builds(list),
    st.builds(dict),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value of a document but the whole."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, item in items:
        found += places(item, (*path, key))
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_document_loads_or_is_one_sentence(plain: Any, tmp_path: Path, data: st.DataObject) -> None:
    """Values replaced, left out, repeated or added; what loads can be resolved and has pipelines."""
    document = copy.deepcopy(plain)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(document)))
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        what = data.draw(st.sampled_from(["replace", "remove", "repeat", "add"]))
        if what == "replace":
            parent[path[-1]] = data.draw(JUNK)
        elif what == "remove":
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]) if what == "repeat" else data.draw(JUNK))
        else:
            parent[data.draw(st.text(max_size=3))] = data.draw(JUNK)
    message, loaded = "", None
    try:
        loaded = resolve_variables(load_seed(write(tmp_path, document)))
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    assert message or loaded
    for organization in loaded.organizations if loaded else ():
        for pipeline in organization.pipelines[:3]:
            pipeline_definition(loaded, organization, pipeline, 1)
