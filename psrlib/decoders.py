"""Decoders of typed documents, made by one thread at a time.

msgspec enters a class of records in its table before it has looked at all of the fields. Another thread that
meets the class in between reads fields that are not there yet, and the process dies (msgspec 0.22, Python
3.11; `tests/test_decoders.py`). A class that one thread has looked at to the end is safe with many.
"""

import threading
from typing import Any

import msgspec

_made: dict[Any, msgspec.json.Decoder[Any]] = {}
_lock = threading.Lock()


def decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type; from then on `msgspec.convert` may be called with it by any thread."""
    found = _made.get(kind)
    if found is None:
        with _lock:
            found = _made.setdefault(kind, msgspec.json.Decoder(kind))
    return found
