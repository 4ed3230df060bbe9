"""``psr engines``: start, status, restart, stop and configure, on the embedded hub."""

import gc
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from psrlib import paths
from psrlib.cli.engines import engines
from psrlib.client import ControlHub
from psrlib.engines import load_identities, stop_fleet
from psrlib.engines.engine import EVENT_MS
from psrlib.engines.identity import engines_dir
from psrlib.errors import InputError
from psrlib.hub.process.hub_process import start_hub, stop_hub
from psrlib.model import NoiseModel
from psrlib.seed import create_seed, resolve_variables, save_seed
from psrlib.state import populate


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The seed document of one populated organization on an embedded hub."""
    tmp_path = tmp_path_factory.mktemp("run")
    document = create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 3, 1)
    (organization,) = document.organizations
    few = msgspec.structs.replace(
        organization, jobs=[], scheduled_tasks=[], subscriptions=[], topologies=[], connections=[]
    )
    few = msgspec.structs.replace(few, pipelines=[p for p in few.pipelines if p.connection is None][:1])
    document = msgspec.structs.replace(document, organizations=[few])
    path = tmp_path / "seed.json"
    save_seed(document, path)
    hub = start_hub(tmp_path)
    try:
        populate(
            resolve_variables(document, {}), ControlHub(hub.url, "admin@admin", "admin@admin"), progress=False
        )
        yield path
    finally:
        stop_fleet(tmp_path)
        stop_hub(tmp_path)


def psr(*words: object) -> str:
    result = CliRunner().invoke(engines, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_shards_run_the_engines_of_their_organizations(tmp_path: Path) -> None:
    """Together all of them, each once, every shard in a folder of its own."""
    drawn = create_seed(NoiseModel.load(paths.SAMPLE_MODEL), 3, 3)
    bare = [
        msgspec.structs.replace(o, jobs=[], scheduled_tasks=[], subscriptions=[], topologies=[], pipelines=[])
        for o in drawn.organizations
    ]
    document = msgspec.structs.replace(drawn, organizations=bare)
    folders = [tmp_path / name for name in ("first", "second")]
    with start_hub(tmp_path) as hub:
        with ControlHub(hub.url, "admin@admin", "admin@admin") as session:
            populate(resolve_variables(document, {}), session, progress=False)
        for number, folder in enumerate(folders):
            save_seed(document, folder / "seed.json")
            where = ("--sch-url", hub.url, "--sch-password", "admin@admin")
            psr("start", folder / "seed.json", "--shard", f"{number}/2", *where)
        found = [{(i.organization, i.key) for i in load_identities(folder)} for folder in folders]
        for folder in folders:
            assert "engines stopped" in psr("stop", folder / "seed.json")
    ids = [organization.id for organization in bare]
    assert {organization for organization, _ in found[0]} == {ids[0], ids[2]}
    assert not found[0] & found[1]
    assert found[0] | found[1] == {(o.id, engine.key) for o in bare for engine in o.engines}


@pytest.mark.parametrize("text", ["2/2", "-1/2", "1", "a/b", "1/2/3", "/"])
def test_a_shard_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """Before anything is done."""
    seed = tmp_path / "seed.json"
    seed.write_text("{}")
    result = CliRunner().invoke(engines, ["start", str(seed), "--shard", text])
    assert result.exit_code == 2
    assert "expected I/N" in result.output


def test_engines_are_started_shown_restarted_and_stopped(seed: Path) -> None:
    """Tokens that are lacking are asked for; a restart brings the same engines."""
    sink = ("--set", "webhook_url=https://elsewhere.example/hook")
    assert "engines poll http://127.0.0.1" in psr("start", seed, *sink)
    number = len(load_identities(seed.parent))
    assert f"{number} engines, {number} registered, {number} polling, 0 refused" in psr("status", seed)
    first = json.loads(psr("status", seed, "--output", "json"))
    psr("restart", seed, *sink)
    second = json.loads(psr("status", seed, "--output", "json"))
    assert (second["engines"], second["polling"]) == (number, number)
    assert second["pid"] != first["pid"]
    assert "engines stopped" in psr("stop", seed)
    assert "no engines were running" in psr("stop", seed)
    assert psr("status", seed).startswith("not running")


def test_real_engines_are_configured_with_the_tokens_of_the_hub(seed: Path, tmp_path: Path) -> None:
    """A folder per organization; the authoring engine is recorded."""
    output = tmp_path / "real"
    text = psr("configure", seed, "-o", output, "--sch-authoring-sdc", "http://sdc.example:18630")
    assert "of 1 organizations configured" in text
    (folder,) = output.iterdir()
    assert json.loads((folder / "engines.json").read_text())["authoring_engine"] == "http://sdc.example:18630"
    for identity in load_identities(seed.parent):
        assert (folder / identity.key / "application-token.txt").read_text().strip() == identity.token
        assert identity.token not in text


def test_the_session_that_asked_for_tokens_is_closed(
    seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection of it outlives the command, whether it succeeds or not."""
    closed: list[str] = []
    close = ControlHub.close

    def noted(hub: ControlHub) -> None:
        closed.append(hub.url)
        close(hub)

    def unwilling(*_: object) -> None:
        raise InputError("no tokens today")

    monkeypatch.setattr(ControlHub, "close", noted)
    identities = engines_dir(seed.parent) / "identities.json"
    identities.unlink(missing_ok=True)
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        psr("configure", seed, "-o", tmp_path / "real")
        assert len(closed) == 1
        identities.unlink()
        monkeypatch.setattr("psrlib.state.setup_engines", unwilling)
        with pytest.raises(InputError, match="no tokens today"):
            psr("configure", seed, "-o", tmp_path / "real")
        assert len(closed) == 2
        gc.collect()
    assert [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)] == []


def test_the_command_has_the_librarys_default_of_event_time() -> None:
    """It is written out there, so that help needs no engine code."""
    (option,) = [o for o in engines.commands["start"].params if o.name == "event_ms"]
    assert option.default == EVENT_MS


def test_a_missing_seed_document_is_wrong_use() -> None:
    """Exit status 2, naming the file."""
    result = CliRunner().invoke(engines, ["status", "/nowhere/seed.json"])
    assert result.exit_code == 2
    assert "/nowhere/seed.json" in result.output
