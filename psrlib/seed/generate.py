"""From a noise model and a random seed to a seed document."""

import logging
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from psrlib.bounds import MAX_INTEGER
from psrlib.errors import InputError
from psrlib.model import NoiseModel, OrganizationDraws
from psrlib.seed.capacity import Shortage, find_shortage, max_pipelines
from psrlib.seed.chunk import Chunk
from psrlib.seed.columns import Drawer
from psrlib.seed.document import GENERATOR, Provenance, SeedDocument
from psrlib.seed.files import BLOCK, Block, pack, suffix, write_blocks
from psrlib.seed.organizations import draw_organizations
from psrlib.seed.parallel import generate_blocks, n_processors
from psrlib.seed.vocabulary import VARIABLES

log = logging.getLogger(__name__)

WARNED = 5  # organizations named in warnings


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
    processor), on whose number its bytes do not depend. Organizations whose active jobs exceed what their
    engines can run are named in warnings.
    """
    path = Path(path)
    form = suffix(path)
    model = NoiseModel.load(model_path)
    origin = provenance(model, random_seed, num_orgs)
    drawer = Drawer(model, random_seed)

    limit = max_pipelines(VARIABLES)

    def work(task: tuple[range, OrganizationDraws]) -> Block:
        organizations = draw_organizations(Chunk(drawer, *task))
        found = (find_shortage(organization, limit) for organization in organizations)
        return replace(pack(organizations, form), shortages=tuple(s for s in found if s is not None))

    n_blocks = -(-num_orgs // BLOCK)
    workers = min(workers or n_processors(), n_blocks)
    shortages: list[Shortage] = []
    with closing(generate_blocks(work, drawer.blocks(num_orgs, BLOCK), workers)) as blocks:
        noted = _noting(_shown(blocks, n_blocks), shortages)
        sha256 = write_blocks(origin, VARIABLES, noted, path)
    _warn(shortages)
    return sha256


def _noting(blocks: Iterator[Block], shortages: list[Shortage]) -> Iterator[Block]:
    for block in blocks:
        shortages += block.shortages
        yield block


def _warn(shortages: list[Shortage]) -> None:
    for shortage in shortages[:WARNED]:
        log.warning("%s", shortage)
    if len(shortages) > WARNED:
        log.warning("%d more organizations want more of their engines", len(shortages) - WARNED)


def _shown(blocks: Iterator[Block], n: int) -> Iterator[Block]:
    """Show progress in a terminal; elsewhere tqdm is not even imported, for that takes its time."""
    if not sys.stderr.isatty():
        return blocks
    from tqdm.auto import tqdm

    return iter(tqdm(blocks, total=n, unit=" blocks", leave=False))
