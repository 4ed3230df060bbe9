"""The folder of a run keeps the seed document that its hub was populated from."""

import json
from pathlib import Path

import pytest

from psrlib import paths
from psrlib.errors import InputError, ProcessError
from psrlib.hub.process.hub_process import find_hub, start_hub
from psrlib.model import NoiseModel
from psrlib.run import WEBHOOK_FILE, keep_seed, open_hub, open_run, resolve_run
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


def test_each_run_has_a_webhook_port_of_its_own(model: NoiseModel, tmp_path: Path) -> None:
    """Port 0 stands for one that was free, is kept in the folder, and is the same ever after."""
    document = create_seed(model, 7, 1)
    assert document.variables["webhook_url"] == "http://127.0.0.1:0/webhook"
    urls = set()
    for name in ("a", "b"):
        folder = tmp_path / name
        before = resolve_run(document, folder, make=False)
        assert before.variables["webhook_url"].endswith(":0/webhook")
        assert not folder.exists()
        url = resolve_run(document, folder).variables["webhook_url"]
        port = json.loads((folder / WEBHOOK_FILE).read_text())["port"]
        assert url == f"http://127.0.0.1:{port}/webhook"
        for again in (True, False):
            resolved = resolve_run(document, folder, make=again)
            assert resolved.variables["webhook_url"] == url
            (organization,) = resolved.organizations
            assert {s.target for s in organization.subscriptions if s.action == "WEBHOOK"} == {url}
        urls.add(url)
    assert len(urls) == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:18636/webhook", "https://hooks.example/x", "http://sink"])
def test_a_fixed_webhook_address_stays(url: str, model: NoiseModel, tmp_path: Path) -> None:
    """Given for one command, or in the seed document."""
    document = create_seed(model, 7, 1)
    fixed, _ = rewrite_seed(document, variable_rules({"webhook_url": url}))
    for resolved in (resolve_run(document, tmp_path, {"webhook_url": url}), resolve_run(fixed, tmp_path)):
        assert resolved.variables["webhook_url"] == url
    assert not (tmp_path / WEBHOOK_FILE).exists()


def test_a_host_in_a_network_of_containers_gets_the_port_too(model: NoiseModel, tmp_path: Path) -> None:
    """Others know this machine by a name."""
    resolved = resolve_run(create_seed(model, 7, 1), tmp_path, {"webhook_url": "http://fleet:0/webhook"})
    port = json.loads((tmp_path / WEBHOOK_FILE).read_text())["port"]
    assert resolved.variables["webhook_url"] == f"http://fleet:{port}/webhook"


def test_a_hub_that_does_not_answer_is_not_ended(
    model: NoiseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be busy, and somebody else started it: whoever wants to verify is told, and no more."""

    def refuse(*_: object, **__: object) -> None:
        raise ProcessError("has a hub already")

    document = resolve_variables(create_seed(model, 7, 1), {})
    with start_hub(tmp_path):
        with monkeypatch.context() as patch:
            patch.setattr("psrlib.run.find_hub", lambda _: None)  # as if it did not answer
            patch.setattr("psrlib.run.start_hub", refuse)
            with pytest.raises(ProcessError, match="has a hub"), open_run(tmp_path, document):
                pass
            patch.setattr("psrlib.run.ControlHub", refuse)
            patch.setattr("psrlib.run.start_hub", start_hub)
            with pytest.raises(ProcessError, match="has a hub"):
                open_hub(tmp_path)
        assert find_hub(tmp_path) is not None
