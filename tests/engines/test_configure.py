"""Configuration of real engines."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from support.fleet_fakes import identity

from psrlib.engines.configure import configure_engines
from psrlib.errors import InputError

HUB = "http://127.0.0.1:18631"


def properties(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the first of two organizations."""
    group = [identity(0), identity(1), identity(2, "org-0002")]
    first, second = configure_engines(group, HUB, tmp_path / "real")
    assert second.name == "org-0002"
    return first


def test_each_engine_has_its_token_readable_by_its_owner_only(folder: Path) -> None:
    """And nowhere else is it written."""
    path = folder / "engine-0001" / "application-token.txt"
    assert path.read_text() == identity(0).token + "\n"
    assert path.stat().st_mode & 0o777 == 0o600
    others = [p for p in folder.rglob("*") if p.is_file() and p.name != path.name]
    assert others
    assert not [p for p in others if "example-token" in p.read_text()]


def test_dpm_properties_turn_control_hub_on(folder: Path) -> None:
    """Address with a trailing slash, token by reference, labels."""
    found = properties(folder / "engine-0001" / "dpm.properties")
    assert found["dpm.enabled"] == "true"
    assert found["dpm.base.url"] == HUB + "/"
    assert found["dpm.appAuthToken"] == "@application-token.txt@"
    assert found["dpm.remote.control.job.labels"] == "all"


def test_the_real_engine_takes_the_mock_engines_id_and_address(folder: Path) -> None:
    """sdc.id holds the component id the hub knows; port and address are those of the seed document."""
    assert (folder / "engine-0002" / "data" / "sdc.id").read_text().strip() == identity(1).id
    found = properties(folder / "engine-0002" / "sdc.properties")
    assert (found["http.port"], found["sdc.base.http.url"]) == ("18631", identity(1).url)


def test_the_thread_pool_is_large_enough_for_what_an_engine_has_to_run(tmp_path: Path) -> None:
    """The vendor's 50 threads where 22 pipelines do, more where jobs ask for more; also for the container."""
    group = [identity(0), identity(1)]
    (folder,) = configure_engines(group, HUB, tmp_path, needs={("org-0001", "engine-0002"): 45})
    sizes = [
        properties(folder / key / "sdc.properties")["runner.thread.pool.size"]
        for key in ("engine-0001", "engine-0002")
    ]
    assert sizes == ["50", "99"]
    compose = yaml.safe_load((folder / "docker-compose.yml").read_text())
    environment = compose["services"]["engine-0002"]["environment"]
    assert environment["SDC_CONF_RUNNER_THREAD_POOL_SIZE"] == "99"


def test_the_pool_grows_with_what_engines_can_run_at_least(tmp_path: Path) -> None:
    """``engine_max_pipelines`` of the seed document."""
    (folder,) = configure_engines([identity(0)], HUB, tmp_path, max_pipelines=100)
    assert properties(folder / "engine-0001" / "sdc.properties")["runner.thread.pool.size"] == "220"


def test_the_compose_file_has_a_service_per_engine(folder: Path) -> None:
    """Image, the values of sdc.properties, and the files where the image expects them."""
    compose = yaml.safe_load((folder / "docker-compose.yml").read_text())
    assert list(compose["services"]) == ["engine-0001", "engine-0002"]
    service = compose["services"]["engine-0001"]
    assert service["image"].startswith("streamsets/datacollector:3.")
    assert service["environment"]["SDC_CONF_SDC_BASE_HTTP_URL"] == identity(0).url
    for volume in service["volumes"]:
        assert (folder / volume.split(":")[0]).exists()


def test_the_authoring_engine_is_recorded(tmp_path: Path) -> None:
    """The one given, else the first Data Collector."""
    (first,) = configure_engines([identity(0)], HUB, tmp_path / "a")
    (given,) = configure_engines([identity(0)], HUB, tmp_path / "b", authoring_url="http://sdc.example:18630")
    assert json.loads((first / "engines.json").read_text())["authoring_engine"] == identity(0).url
    assert json.loads((given / "engines.json").read_text())["authoring_engine"] == "http://sdc.example:18630"


def test_a_transformer_gets_files_but_no_data_collector_service(tmp_path: Path) -> None:
    """The vendor's Data Collector image cannot run it."""
    transformer = msgspec.structs.replace(identity(0), type="TRANSFORMER")
    (folder,) = configure_engines([transformer], HUB, tmp_path)
    assert yaml.safe_load((folder / "docker-compose.yml").read_text())["services"] == {}
    assert (folder / "engine-0001" / "application-token.txt").exists()


def test_two_engines_at_one_address_are_refused(tmp_path: Path) -> None:
    """Nothing is written then."""
    twin = msgspec.structs.replace(identity(1), url=identity(0).url)
    with pytest.raises(InputError, match="engine-0001 and engine-0002 share the address"):
        configure_engines([identity(0), twin], HUB, tmp_path / "real")
    assert not (tmp_path / "real").exists()


def test_no_engines_is_an_error(tmp_path: Path) -> None:
    """Rather than an empty folder."""
    with pytest.raises(InputError, match="no engines to configure"):
        configure_engines([], HUB, tmp_path)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"key": "../../x"}, r"engine '\.\./\.\./x', field key: expected letters"),
        ({"key": "/tmp/x"}, "field key"),
        ({"key": ".."}, "field key"),
        ({"organization": "../x"}, r"field organization"),
        ({"labels": ["all\ndpm.base.url=http://elsewhere"]}, "a line break"),
        ({"url": "http://127.0.0.1:1/\rx"}, "a line break"),
    ],
)
def test_nothing_is_written_outside_the_folder(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    """Keys and organizations name folders, other texts stand on a line: checked before a file is written."""
    attack = msgspec.structs.replace(identity(1), **fields)
    output = tmp_path / "a" / "b" / "real"
    with pytest.raises(InputError, match=words):
        configure_engines([identity(0), attack], HUB, output)
    assert not list(tmp_path.rglob("*"))
