"""From a noise model and a random seed to a seed document."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from psrlib.errors import InputError
from psrlib.model import NoiseModel
from psrlib.seed.columns import Chunk, Drawer
from psrlib.seed.document import GENERATOR, Organization, Provenance, SeedDocument
from psrlib.seed.files import suffix, write_seed
from psrlib.seed.page import ModelTexts, Page
from psrlib.seed.render import write_organizations
from psrlib.seed.texts import VARIABLES

CHUNK = 128  # organizations drawn at once: enough to pay for the numpy calls, small in memory
MAX_INTEGER = 2**63 - 1  # what every JSON reader of the document can hold


def provenance(model: NoiseModel, random_seed: int, num_orgs: int) -> Provenance:
    """Return what the document says about its origin; InputError for impossible numbers."""
    if not -MAX_INTEGER <= random_seed <= MAX_INTEGER:
        raise InputError(f"random seed {random_seed} does not fit 64 bits; choose a smaller one")
    if not 0 <= num_orgs <= MAX_INTEGER:
        raise InputError(f"number of organizations {num_orgs}: expected 0 or more")
    return Provenance(random_seed, num_orgs, model.name, model.sha256, GENERATOR)


def generate_organizations(model: NoiseModel, random_seed: int, organizations: range) -> Iterator[bytes]:
    """Yield the canonical JSON of each organization, a chunk of them in memory at a time.

    Parameters
    ----------
    model : NoiseModel
    random_seed : int
    organizations : range
        Positions in the document, from 0.
    """
    drawer = Drawer(model, random_seed)
    texts = ModelTexts()
    for start in range(organizations.start, organizations.stop, CHUNK):
        chunk = Chunk(drawer, range(start, min(start + CHUNK, organizations.stop)))
        yield from write_organizations(Page(texts, chunk))


def create_seed(model: NoiseModel, random_seed: int, num_orgs: int) -> SeedDocument:
    """Draw a seed document; organization i does not depend on ``num_orgs``.

    Raises
    ------
    InputError
        If the random seed does not fit 64 bits or the number of organizations is negative.
    """
    origin = provenance(model, random_seed, num_orgs)
    decoder = msgspec.json.Decoder(Organization)
    parts = generate_organizations(model, random_seed, range(num_orgs))
    return SeedDocument("psr-seed/1", origin, dict(VARIABLES), [decoder.decode(part) for part in parts])


def create_seed_file(
    model_path: str | Path, random_seed: int, num_orgs: int, path: str | Path, workers: int | None = None
) -> str:
    """Draw a seed document straight into a file, without ever holding it in memory.

    Parameters
    ----------
    model_path : path
        A noise model.
    random_seed, num_orgs : int
        See `create_seed`.
    path : path
        A ``.json``, ``.jsonl`` or ``.jsonl.gz`` file.
    workers : int or None
        Number of processes; the bytes do not depend on it.

    Returns
    -------
    str
        The document's digest.
    """
    suffix(Path(path))
    model = NoiseModel.load(model_path)
    origin = provenance(model, random_seed, num_orgs)
    organizations = generate_organizations(model, random_seed, range(num_orgs))
    return write_seed(origin, VARIABLES, organizations, path)
