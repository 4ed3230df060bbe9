"""The published JSON Schema of seed documents, made from the records themselves.

``seed.schema.json`` beside this module is what readers in other languages use. It says what types can say;
unique names and references that lead somewhere are checked by `psrlib.seed.load_seed`.
"""

from typing import Any

import msgspec
import orjson

from psrlib.seed.document import SeedDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def seed_schema() -> dict[str, Any]:
    """Return the JSON Schema of a ``.json`` seed document.

    Examples
    --------
    >>> sorted(seed_schema()["$defs"])[:3]
    ['Config', 'Connection', 'Engine']
    """
    schema = msgspec.json.schema(SeedDocument)
    return {"$schema": DIALECT, "title": "PSR DB Populator seed document", **schema}


def schema_text() -> bytes:
    """Return the schema as ``seed.schema.json`` holds it."""
    return orjson.dumps(seed_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
