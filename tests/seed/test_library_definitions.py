"""Generated library definitions have the size of real ones."""

import gzip
import json

from psrlib.seed import SeedDocument
from psrlib.seed.library_definitions import LARGEST, N_STAGES, SMALLEST, library_definitions


def texts(document: SeedDocument) -> list[str]:
    return [library_definitions(document, o, p) for o in document.organizations for p in o.pipelines]


def test_sizes_are_those_of_public_archives(tiny_seed: SeedDocument) -> None:
    """Each is JSON of 540 to 576 kB, and the sizes differ between pipelines."""
    sizes = [len(text.encode()) for text in texts(tiny_seed)]
    assert all(SMALLEST <= size <= LARGEST for size in sizes)
    assert len(set(sizes)) == len(sizes)


def test_the_text_is_json_and_the_same_every_time(tiny_seed: SeedDocument) -> None:
    """Populate can be repeated: the same pipeline has the same definitions."""
    first, again = texts(tiny_seed)[:1], texts(tiny_seed)[:1]
    assert first == again
    assert len(json.loads(first[0])["stages"]) == N_STAGES


def test_half_of_it_does_not_compress(tiny_seed: SeedDocument) -> None:
    """A database that compresses its pages stores about what it stores of real definitions."""
    text = texts(tiny_seed)[0].encode()
    assert 0.25 < len(gzip.compress(text, 6)) / len(text) < 0.6
