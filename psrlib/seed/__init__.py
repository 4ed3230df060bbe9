"""Seed documents: random streams, generator, schema, pipeline documents, variables."""

from psrlib.seed.document import SeedDocument
from psrlib.seed.files import load_seed, save_seed, seed_sha256
from psrlib.seed.generate import create_seed
from psrlib.seed.variables import resolve_variables

__all__ = [
    "SeedDocument",
    "create_seed",
    "load_seed",
    "resolve_variables",
    "save_seed",
    "seed_sha256",
]
