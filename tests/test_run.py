"""The folder of a run keeps the seed document that its hub was populated from."""

from pathlib import Path

import pytest

from psrlib import paths
from psrlib.errors import InputError
from psrlib.model import NoiseModel
from psrlib.run import keep_seed
from psrlib.seed import create_seed, load_seed, resolve_variables, seed_sha256
from psrlib.seed.rewrite import rewrite_seed, variable_rules


@pytest.fixture(scope="module")
def model() -> NoiseModel:
    return NoiseModel.load(paths.SAMPLE_MODEL)


def test_the_same_content_may_come_again(model: NoiseModel, tmp_path: Path) -> None:
    """The same document, more organizations of it, or other variables replace it."""
    document = create_seed(model, 7, 3)
    elsewhere, _ = rewrite_seed(document, variable_rules({"webhook_url": "http://127.0.0.1:9/hook"}))
    for again in (document, document, create_seed(model, 7, 4), elsewhere):
        path = keep_seed(again, tmp_path)
        assert seed_sha256(load_seed(path)) == seed_sha256(again)
        assert resolve_variables(load_seed(path)) == resolve_variables(again)


def test_another_content_is_refused_and_the_file_kept(model: NoiseModel, tmp_path: Path) -> None:
    """A folder with the run of another random seed is named, and stays as it is."""
    path = keep_seed(create_seed(model, 7, 3), tmp_path)
    content = path.read_bytes()
    with pytest.raises(InputError, match=r"seed\.json is the seed document of another run \(random seed 7"):
        keep_seed(create_seed(model, 8, 3), tmp_path)
    assert path.read_bytes() == content
