"""What nothing was measured for: the details of the hand-written model, whose sources docs/model.md names."""

import msgspec

from psrlib import paths
from psrlib.model.specs import Details, ModelSpec


def default_details() -> Details:
    """Return the detail tables of ``data/models/sample.json``."""
    return msgspec.json.decode(paths.SAMPLE_MODEL.read_bytes(), type=ModelSpec).details or {}
