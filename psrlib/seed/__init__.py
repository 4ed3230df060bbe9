"""Seed documents: random streams, generator, schema, pipeline documents, variables."""

from psrlib.seed.document import SeedDocument
from psrlib.seed.files import load_seed, save_seed, seed_sha256
from psrlib.seed.generate import create_seed, create_seed_file
from psrlib.seed.library_definitions import library_definitions
from psrlib.seed.pipelines import fragment_definition, pipeline_definition
from psrlib.seed.variables import resolve_variables

__all__ = [
    "SeedDocument",
    "create_seed",
    "create_seed_file",
    "fragment_definition",
    "library_definitions",
    "load_seed",
    "pipeline_definition",
    "resolve_variables",
    "save_seed",
    "seed_sha256",
]
