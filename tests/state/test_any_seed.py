"""Whatever the random seed, a hub takes the document: those of its organizations that have the least room."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.errors import HubError, InputError
from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, resolve_variables
from psrlib.seed.check import check_references
from psrlib.seed.chunk import Chunk
from psrlib.seed.columns import Drawer
from psrlib.seed.document import Fragment, Organization
from psrlib.seed.generate import provenance
from psrlib.seed.organizations import draw_organizations
from psrlib.seed.vocabulary import VARIABLES
from psrlib.state import diff, observe, populate
from psrlib.words import COUNTED, KINDS, NOT_SET

Connect = Callable[..., ControlHub]
MODELS = (paths.MODEL, paths.SAMPLE_MODEL)
N_LOOKED_AT = 300  # organizations of a seed among which the fullest are looked for
N_POPULATED = 3
SEEDS_PER_HUB = 8
# Organizations of a seed that exceeded their limit of jobs once templates count
EXCEEDED = ((204, 10), (19071990, 304))


def fullest(model: NoiseModel, random_seed: int) -> list[int]:
    """Return the positions of the organizations with the least room below a limit, few entities first."""
    chunk = Chunk(Drawer(model, random_seed), range(N_LOOKED_AT))
    room = np.full(N_LOOKED_AT, np.iinfo(np.int64).max)
    size = np.zeros(N_LOOKED_AT, dtype=np.int64)
    for limit, metrics in COUNTED.items():
        counted = np.sum([chunk.count(metric) for metric in metrics], axis=0)
        allowed = chunk.limit(limit)
        room = np.where(allowed == NOT_SET, room, np.minimum(room, allowed - counted))
        size += counted
    return [int(place) for place in np.lexsort((size, room))[:N_POPULATED]]


def document_of(model: NoiseModel, random_seed: int, places: list[int]) -> SeedDocument:
    """Return the document of some organizations of a random seed; their ids say the random seed too."""
    drawer = Drawer(model, random_seed)
    drawn = [draw_organizations(Chunk(drawer, range(place, place + 1)))[0] for place in places]
    text = msgspec.json.encode(drawn).replace(b"org-", b"org-%d-" % random_seed)
    organizations = msgspec.json.decode(text, type=list[Organization])
    origin = provenance(model, random_seed, len(places))
    return resolve_variables(SeedDocument("psr-seed/1", origin, dict(VARIABLES), organizations), {})


def check_that_a_hub_takes(model: NoiseModel, random_seeds: range, hub: ControlHub) -> None:
    """Populate one hub with the fullest organizations of each random seed, and find them all there."""
    for random_seed in random_seeds:
        document = document_of(model, random_seed, fullest(model, random_seed))
        check_references(document, f"random seed {random_seed}")
        populate(document, hub, progress=False, allow_foreign=True)
        difference = diff(document, observe(document, hub), runtime=False)
        assert not difference, f"random seed {random_seed}: {difference.frame().to_string()}"


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_hub_takes_the_fullest_organizations_of_some_seeds(path: Path, connect: Connect) -> None:
    """The short form of the thousand."""
    with connect() as hub:
        check_that_a_hub_takes(NoiseModel.load(path), range(202, 206), hub)


@pytest.mark.long
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
@pytest.mark.parametrize("first", range(0, 1000, SEEDS_PER_HUB))
def test_a_hub_takes_the_fullest_organizations_of_a_thousand_seeds(
    first: int, path: Path, connect: Connect
) -> None:
    """Three organizations of each, the fullest of 300, and nothing is missing afterwards."""
    with connect() as hub:
        check_that_a_hub_takes(NoiseModel.load(path), range(first, first + SEEDS_PER_HUB), hub)


@pytest.mark.parametrize(("random_seed", "n"), EXCEEDED)
def test_seeds_that_once_exceeded_a_limit_are_in_order(random_seed: int, n: int) -> None:
    """Jobs and job templates count together, and the draw leaves templates the room that jobs left."""
    drawn = draw_organizations(Chunk(Drawer(NoiseModel.load(paths.MODEL), random_seed), range(n)))
    origin = provenance(NoiseModel.load(paths.MODEL), random_seed, n)
    check_references(SeedDocument("psr-seed/1", origin, dict(VARIABLES), drawn), "seed.json")


def one_organization(rich: SeedDocument, limit: str, room: int) -> SeedDocument:
    """Return a document of one organization with two fragments, with so much room below a limit."""
    organization = rich.organizations[0]
    owner = organization.pipelines[0].owner
    fragments = [Fragment(f"fragment-{i}", f"Fragment {i}", owner, 1, []) for i in range(2)]
    organization = msgspec.structs.replace(organization, fragments=fragments)
    kinds = [metric for metric in COUNTED[limit] if metric in KINDS]  # job templates stand among the jobs
    allowed = sum(len(getattr(organization, kind)) for kind in kinds) + room
    config = msgspec.structs.replace(organization.config, **{limit: allowed})
    organization = msgspec.structs.replace(organization, config=config)
    origin = msgspec.structs.replace(rich.provenance, num_orgs=1)
    return msgspec.structs.replace(rich, provenance=origin, organizations=[organization])


@pytest.mark.parametrize("limit", ["max_users", "max_pipelines", "max_jobs"])
def test_hub_and_document_count_alike(rich: SeedDocument, connect: Connect, limit: str) -> None:
    """What just fits arrives; one more is refused by the document's check, and would be by the hub."""
    organization = rich.organizations[0].id
    too_much = one_organization(rich, limit, room=-1)
    with pytest.raises(InputError, match=rf'"{organization}": \d+ .* exceed its limit.*{limit}": \d+'):
        check_references(too_much, "seed.json")
    with connect() as hub:
        with pytest.raises(HubError, match=r"limit of \d+ .* is reached"):
            populate(too_much, hub, progress=False)
        populate(one_organization(rich, limit, room=0), hub, progress=False)
