"""Component ids of engines are derived, so a restarted fleet is the same engines."""

import uuid

from psrlib.seed import SeedDocument
from psrlib.seed.identity import engine_id


def test_ids_are_stable_and_all_different(rich_seed: SeedDocument) -> None:
    """The same place gives the same version-1 id; another place or random seed another one."""
    places = [(o.id, engine.key) for o in rich_seed.organizations for engine in o.engines]
    ids = [engine_id(7, *place) for place in places]
    assert ids == [engine_id(7, *place) for place in places]
    assert len(set(ids)) == len(places)
    assert not set(ids) & {engine_id(8, *place) for place in places}
    assert {uuid.UUID(id_).version for id_ in ids} == {1}
