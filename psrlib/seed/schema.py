"""The published JSON Schema of seed documents, made from the records themselves.

``seed.schema.json`` beside this module is what readers in other languages use. It says what types can say;
unique names and references that lead somewhere are checked by `psrlib.seed.load_seed`.
"""

import msgspec
import orjson

from psrlib.seed.document import SeedDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> bytes:
    """Return the JSON Schema of a ``.json`` seed document as ``seed.schema.json`` holds it."""
    head = {"$schema": DIALECT, "title": "PSR DB Populator seed document"}
    schema = {**head, **msgspec.json.schema(SeedDocument)}
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
