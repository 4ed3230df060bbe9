"""Who may be connected to, and what is said to those who may not."""

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dask import config as dask_config
from support.dask_cluster import DaskCluster

import psrlib
from psrlib.cli import psr
from psrlib.client import ControlHub
from psrlib.cluster import Cluster, shards
from psrlib.errors import InputError, ProcessError
from psrlib.seed import SeedDocument, save_seed
from psrlib.state import populate

Connect = Callable[..., ControlHub]
PASSWORD = "admin@admin"


@pytest.mark.parametrize("address", ["tcp://10.0.0.7:8786", "10.0.0.7:8786", "tcp://dask.example.com:8786"])
def test_an_open_port_is_refused(address: str, connect: Connect) -> None:
    """Whoever reaches it runs programs; TLS or loopback, before anything is sent."""
    with pytest.raises(InputError, match=r"expected tls://, or an address of this machine alone"):
        connect(scheduler=address)


def test_no_scheduler(connect: Connect) -> None:
    """Nothing answers there."""
    with pytest.raises(ProcessError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        connect(scheduler="127.0.0.1:9")


def test_tls_without_certificates(connect: Connect, dask: DaskCluster) -> None:
    """An address with TLS needs them from Dask's configuration."""
    with pytest.raises(ProcessError, match=r"no Dask scheduler at tls://127\.0\.0\.1"):
        connect(scheduler=dask.address.replace("tcp", "tls"))


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """Return the settings of Dask for a certificate that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "psr test")])
    now = datetime.now(UTC)
    found = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    (tmp_path / "tls.pem").write_bytes(found.public_bytes(serialization.Encoding.PEM))
    settings = {"distributed.comm.tls.ca-file": str(tmp_path / "tls.pem")}
    for who in ("scheduler", "worker", "client"):
        settings[f"distributed.comm.tls.{who}.cert"] = str(tmp_path / "tls.pem")
        settings[f"distributed.comm.tls.{who}.key"] = str(tmp_path / "key.pem")
    return settings


def test_tls(connect: Connect, rich: SeedDocument, tmp_path: Path, certificate: dict[str, str]) -> None:
    """With certificates from Dask's own configuration, on scheduler, worker and client."""
    (tmp_path / "dask").mkdir()
    variables = {f"DASK_{k.upper().replace('.', '__').replace('-', '_')}": v for k, v in certificate.items()}
    with DaskCluster(tmp_path / "dask", protocol="tls", environment=variables) as cluster:
        cluster.add_worker("private", environment={**variables, "PSR_SCH_PASSWORD": PASSWORD})
        with dask_config.set(certificate), connect(scheduler=cluster.address) as hub:
            report = populate(rich, hub, progress=False)
            assert report.created["organizations"] == len(rich.organizations)


def test_a_scheduler_without_workers(connect: Connect, tmp_path: Path) -> None:
    """It would wait for ever."""
    with DaskCluster(tmp_path) as empty, pytest.raises(ProcessError, match="has no workers; start some"):
        connect(scheduler=empty.address)


def test_a_worker_of_another_version_is_refused_by_name(connect: Connect, tmp_path: Path) -> None:
    """One line in its sources is another, whatever its version number says."""
    root = Path(psrlib.__file__).parent
    other = tmp_path / "other"
    shutil.copytree(root, other / "psrlib", ignore=shutil.ignore_patterns("__pycache__", "data"))
    with (other / "psrlib" / "words.py").open("a") as file:
        file.write("# another\n")
    (tmp_path / "dask").mkdir()
    with DaskCluster(tmp_path / "dask") as cluster:
        cluster.add_worker("same")
        cluster.add_worker("other", environment={"PYTHONPATH": str(other)})
        with pytest.raises(
            InputError, match=r"worker other \(tcp://127.0.0.1:\d+\) has psrlib .*install the same"
        ):
            connect(scheduler=cluster.address)


def test_a_worker_without_a_password(connect: Connect, rich: SeedDocument, tmp_path: Path) -> None:
    """The client's own is not sent: the worker is named, and the variable."""
    (tmp_path / "dask").mkdir()
    with DaskCluster(tmp_path / "dask") as cluster:
        cluster.add_worker("poor", environment={"PSR_SCH_PASSWORD": None})
        with connect(scheduler=cluster.address) as hub:
            with pytest.raises(
                InputError, match=r"worker poor has no password of admin@admin for .*PSR_SCH_PASSWORD"
            ):
                populate(rich, hub, progress=False)
            assert len(hub.security.organizations()) == 1


def test_without_the_extra(tmp_path: Path, rich: SeedDocument, hub_url: str) -> None:
    """Without Dask everything is as before, but with a scheduler the error names what to install."""
    (tmp_path / "distributed.py").write_text("raise ImportError('not installed')\n")
    save_seed(rich, tmp_path / "seed.json")
    where = [str(tmp_path / "seed.json"), "--sch-url", hub_url, "--no-engines"]
    command = [sys.executable, "-c", "from psrlib.cli import main; main()", "populate", *where]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{Path(psrlib.__file__).parent.parent}"}
    environment |= {"PSR_SCH_PASSWORD": PASSWORD}
    environment.pop("PSR_SCHEDULER", None)
    run = lambda *more: subprocess.run(  # noqa: E731
        [*command, *more], env=environment, capture_output=True, text=True, check=False
    )
    refused = run("--scheduler", "127.0.0.1:9")
    assert refused.returncode == 2
    assert "pip install psr-db-populator[cluster]" in refused.stderr
    assert run().returncode == 0


def test_a_damaged_seed_document_reaches_no_worker(tmp_path: Path, dask: DaskCluster, hub_url: str) -> None:
    """It is refused where it is read."""
    (tmp_path / "seed.json").write_text('{"format":"psr-seed/1"')
    arguments = ["populate", str(tmp_path / "seed.json"), "--sch-url", hub_url, "--scheduler", dask.address]
    result = CliRunner().invoke(psr, arguments, env={"PSR_SCH_PASSWORD": PASSWORD})
    assert isinstance(result.exception, InputError)


def test_a_scheduler_is_named_by_the_environment(
    tmp_path: Path, rich: SeedDocument, dask: DaskCluster, hub_url: str
) -> None:
    """PSR_SCHEDULER stands for --scheduler; populate, verify and teardown go through the workers."""
    save_seed(rich, tmp_path / "seed.json")
    environment = {"PSR_SCH_PASSWORD": PASSWORD, "PSR_SCHEDULER": dask.address}
    for command, *more in (["populate", "--no-engines"], ["populate", "--plan"], ["teardown", "--force"]):
        where = [str(tmp_path / "seed.json"), "--sch-url", hub_url, *more]
        result = CliRunner().invoke(psr, [command, *where], env=environment, catch_exceptions=False)
        assert result.exit_code == 0, result.output


def test_secrets_are_in_no_task_key_or_log(
    connect: Connect, rich: SeedDocument, dask: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password of the client that only it has is in nothing that it sends."""
    with connect() as hub:
        crew = hub.crew
        assert isinstance(crew, Cluster)
        hub.login._password = "the client's own secret"  # type: ignore[attr-defined]
        sent: list[tuple[object, ...]] = []
        submit = crew.client.submit

        def seen(*arguments: object, **options: object) -> object:
            sent.append((*arguments, *options.values()))
            return submit(*arguments, **options)

        monkeypatch.setattr(crew.client, "submit", seen)
        populate(rich, hub, progress=False)
        data = [part for arguments in sent for part in arguments if isinstance(part, bytes)]
        assert len(data) >= 2
        assert not any(b"secret" in zlib.decompress(part) for part in data)
        assert "secret" not in repr(sent)
    assert "secret" not in dask.text()


def test_shards_are_whole_and_heavy_ones_alone() -> None:
    """Each item once; none but a single item is above the share."""
    weights = [1, 50, 3, 4000, 2, 2, 90, 5, 1]
    parts = shards(weights, 4)
    assert sorted(i for part in parts for i in part) == list(range(len(weights)))
    assert [3] in parts
    many = [10] * 1000
    assert max(sum(many[i] for i in part) for part in shards(many, 2)) <= 2000
    assert len(shards(many, 50)) >= 50
    assert shards([], 4) == []
