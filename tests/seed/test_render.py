"""The fast writer's bytes are those of a JSON library on the records."""

import dataclasses

import msgspec
import orjson

from psrlib.model import NoiseModel
from psrlib.seed import SeedDocument, create_seed
from psrlib.seed.columns import Chunk, Drawer
from psrlib.seed.document import Organization
from psrlib.seed.generate import Generator
from psrlib.seed.page import ModelTexts, Page
from psrlib.seed.render import write_organizations


def test_bytes_equal_those_of_orjson(rich_model: NoiseModel) -> None:
    """Decoding to records and dumping those with orjson gives back what was written, for every kind."""
    for text in Generator(rich_model, 19071990).organizations(range(60)):
        record = msgspec.json.decode(text, type=Organization)
        assert orjson.dumps(msgspec.to_builtins(record)).decode() == text


def test_an_organization_does_not_depend_on_its_neighbours(rich_model: NoiseModel) -> None:
    """Written alone, in a small or in a large chunk, it has the same bytes."""
    generator = Generator(rich_model, 7)
    together = generator.organizations(range(30))
    assert generator.organizations(range(17, 18)) == together[17:18]
    assert generator.organizations(range(10, 20)) == together[10:20]


def test_text_of_the_model_is_escaped(rich_model: NoiseModel) -> None:
    """Archetype names with quotes and accents arrive unchanged."""
    chunk = Chunk(Drawer(rich_model, 1), range(3))
    names = tuple(f'"{name}" été' for name in chunk.draws.archetype_names)
    chunk.draws = dataclasses.replace(chunk.draws, archetype_names=names)
    for text in write_organizations(Page(ModelTexts(), chunk)):
        assert msgspec.json.decode(text, type=Organization).archetype in names


def test_no_organization_is_an_empty_document(rich_model: NoiseModel) -> None:
    """Zero organizations are a document too."""
    document: SeedDocument = create_seed(rich_model, 1, 0)
    assert document.organizations == []
