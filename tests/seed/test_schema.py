"""The published JSON Schema says what the records say."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import orjson
import pytest

from psrlib.seed import SeedDocument
from psrlib.seed import document as document_module

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "PSR DB Populator seed document",
    **msgspec.json.schema(SeedDocument),
}
PUBLISHED = Path(document_module.__file__).with_name("seed.schema.json")


def test_the_published_schema_is_the_one_of_the_records(update_golden: bool) -> None:
    """Changing a record without publishing the schema again is noticed; ``--update-golden`` publishes."""
    text = orjson.dumps(SCHEMA, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if update_golden:
        PUBLISHED.write_bytes(text)
    assert PUBLISHED.read_bytes() == text


def test_a_validator_that_is_not_ours_accepts_generated_documents(rich_seed: SeedDocument) -> None:
    """The jsonschema package finds nothing wrong, and the schema itself is a valid one."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = msgspec.to_builtins(rich_seed)
    document["organizations"] = document["organizations"][:6]
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.update(format="psr-seed/9"),
        lambda d: d.update(surprise=1),
        lambda d: d["organizations"][0].pop("jobs"),
        lambda d: d["organizations"][0]["jobs"][0].update(status="RUNNING"),
        lambda d: d["organizations"][0]["pipelines"][0].update(stages="3"),
        lambda d: d["organizations"][0]["users"][0].update(password="x"),
    ],
    ids=["format", "unknown-field", "missing-field", "status", "text-for-int", "password"],
)
def test_it_refuses_what_the_records_refuse(tiny_seed: SeedDocument, damage: Callable[[Any], None]) -> None:
    """Schema and records agree on damage, so either can be used for validation."""
    document = copy.deepcopy(msgspec.to_builtins(tiny_seed))
    damage(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, SeedDocument)
