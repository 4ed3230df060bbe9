"""From a noise model and a random seed to a seed document."""

from collections.abc import Iterator

import msgspec

from psrlib.errors import InputError
from psrlib.model import NoiseModel
from psrlib.seed.columns import Drawer
from psrlib.seed.document import FORMAT, GENERATOR, Organization, Provenance, SeedDocument
from psrlib.seed.render import VARIABLES, Renderer

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
    renderer = Renderer(Drawer(model, random_seed))
    for start in range(organizations.start, organizations.stop, CHUNK):
        yield from renderer.organizations(range(start, min(start + CHUNK, organizations.stop)))


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
    return SeedDocument(FORMAT, origin, dict(VARIABLES), [decoder.decode(part) for part in parts])
