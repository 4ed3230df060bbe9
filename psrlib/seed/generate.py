"""From a noise model and a random seed to a seed document."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from psrlib.errors import InputError
from psrlib.model import NoiseModel, OrganizationDraws
from psrlib.seed.chunk import Chunk
from psrlib.seed.columns import Drawer
from psrlib.seed.document import GENERATOR, Provenance, SeedDocument
from psrlib.seed.files import BLOCK, Block, pack, suffix, write_blocks
from psrlib.seed.organizations import draw_organizations
from psrlib.seed.parallel import generate_blocks, n_processors
from psrlib.seed.vocabulary import VARIABLES

MAX_INTEGER = 2**63 - 1  # what every JSON reader of the document can hold


def provenance(model: NoiseModel, random_seed: int, num_orgs: int) -> Provenance:
    """Return what the document says about its origin; InputError for impossible numbers."""
    if not -MAX_INTEGER <= random_seed <= MAX_INTEGER:
        raise InputError(f"random seed {random_seed} does not fit 64 bits; choose a smaller one")
    if not 0 <= num_orgs <= MAX_INTEGER:
        raise InputError(f"number of organizations {num_orgs}: expected 0 or more")
    return Provenance(random_seed, num_orgs, model.name, model.sha256, GENERATOR)


def create_seed(model: NoiseModel, random_seed: int, num_orgs: int) -> SeedDocument:
    """Draw a seed document; organization i does not depend on ``num_orgs``.

    Raises
    ------
    InputError
        If the random seed does not fit 64 bits or the number of organizations is negative.
    """
    origin = provenance(model, random_seed, num_orgs)
    drawer = Drawer(model, random_seed)
    organizations = [
        organization
        for task in drawer.blocks(num_orgs, BLOCK)
        for organization in draw_organizations(Chunk(drawer, *task))
    ]
    return SeedDocument("psr-seed/1", origin, dict(VARIABLES), organizations)


def create_seed_file(
    model_path: str | Path, random_seed: int, num_orgs: int, path: str | Path, workers: int | None = None
) -> str:
    """Draw a seed document as `create_seed` does, without ever holding it in memory; return its digest.

    It becomes a ``.json``, ``.jsonl`` or ``.jsonl.gz`` file, made by ``workers`` processes (None: one per
    processor), on whose number its bytes do not depend.
    """
    path = Path(path)
    form = suffix(path)
    model = NoiseModel.load(model_path)
    origin = provenance(model, random_seed, num_orgs)
    drawer = Drawer(model, random_seed)

    def work(task: tuple[range, OrganizationDraws]) -> Block:
        return pack(draw_organizations(Chunk(drawer, *task)), form)

    n_blocks = -(-num_orgs // BLOCK)
    workers = min(workers or n_processors(), n_blocks)
    with closing(generate_blocks(work, drawer.blocks(num_orgs, BLOCK), workers)) as blocks:
        return write_blocks(origin, VARIABLES, _shown(blocks, n_blocks), path)


def _shown(blocks: Iterator[Block], n: int) -> Iterator[Block]:
    """Show progress in a terminal; elsewhere tqdm is not even imported, for that takes its time."""
    if not sys.stderr.isatty():
        return blocks
    from tqdm.auto import tqdm

    return iter(tqdm(blocks, total=n, unit=" blocks", leave=False))
