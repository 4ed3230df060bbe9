"""How the hub is started: passwords beyond loopback, TLS, what it is known by."""

import datetime
import http.server
import ipaddress
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.ports import free_port

from psrlib import paths
from psrlib.cli import psr as cli
from psrlib.cli.hub import hub as command
from psrlib.client import ControlHub
from psrlib.errors import AuthenticationError, HubError, HubUnreachableError, InputError, ProcessError
from psrlib.hub.process.hub_process import last_start, start_hub, stop_hub
from psrlib.hub.process.snapshots import restore_snapshot, save_snapshot
from psrlib.seed import create_seed_file
from psrlib.state.guards import check_address, is_embedded

EVERYWHERE = "0.0.0.0"
PASSWORD = "a password of its own"
VARIABLE = "PSR_HUB_ADMIN_PASSWORD"


def log_in(url: str, password: str) -> bool:
    try:
        with ControlHub(url, "admin@admin", password):
            return True
    except AuthenticationError:
        return False


def test_a_hub_beyond_loopback_needs_a_password_of_its_own(tmp_path: Path) -> None:
    """Once: it is kept. The generated one, which everybody knows, is no good, and none opens it then."""
    with pytest.raises(ProcessError, match=f"needs a password of its own .* {VARIABLE}"):
        start_hub(tmp_path, EVERYWHERE)
    for wrong in ("admin@admin", "short"):
        with pytest.raises(ProcessError, match=f"{VARIABLE}: expected"):
            start_hub(tmp_path, EVERYWHERE, admin_password=wrong)
    with start_hub(tmp_path, EVERYWHERE, admin_password=PASSWORD) as hub:
        assert (log_in(hub.url, PASSWORD), log_in(hub.url, "admin@admin")) == (True, False)
    with start_hub(tmp_path, EVERYWHERE) as again:
        assert log_in(again.url, PASSWORD)


def test_a_password_is_no_line_of_any_file_or_list(tmp_path: Path) -> None:
    """Neither hub.json nor the log, the database or the list of processes shows it."""
    with start_hub(tmp_path, admin_password=PASSWORD) as hub:
        assert log_in(hub.url, PASSWORD)
        shown = " ".join(psutil.Process(hub.pid).cmdline()).encode()
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert PASSWORD.encode() not in b"".join([shown, *files])


def test_the_variable_reaches_a_hub_that_is_started_by_name_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``psr hub start`` reads it; a hub that a populate starts on the side keeps its initial password."""
    monkeypatch.setenv(VARIABLE, PASSWORD)
    with start_hub(tmp_path / "side") as hub:
        assert log_in(hub.url, "admin@admin")
    folder = ["--run-dir", str(tmp_path / "named")]
    try:
        answer = CliRunner().invoke(command, ["start", *folder, "--port", "0", "--host", EVERYWHERE])
        assert answer.exit_code == 0, answer.output
        url = json.loads((tmp_path / "named" / "hub.json").read_text())["url"]
        assert (log_in(url, PASSWORD), log_in(url, "admin@admin")) == (True, False)
    finally:
        stop_hub(tmp_path / "named")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "hub.pem", folder / "hub.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(files[0]), str(files[1])


def test_a_hub_with_a_certificate_is_https(tmp_path: Path, certificate: tuple[str, str]) -> None:
    """Who trusts the certificate logs in, who does not is refused by its client; restored, it is so again."""
    file, key = certificate
    with start_hub(tmp_path, certificate=file, key=key) as hub:
        assert hub.url.startswith("https://127.0.0.1:")
        with ControlHub(hub.url, "admin@admin", "admin@admin", verify=file) as session:
            assert session.security.organizations()
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(hub.url + "/public-rest/v1/health", timeout=10)
        save_snapshot(tmp_path)
        restored = restore_snapshot(tmp_path)
        assert restored is not None
        assert restored.url == hub.url


def test_every_command_that_speaks_to_a_hub_trusts_the_certificate_given(
    tmp_path: Path, certificate: tuple[str, str]
) -> None:
    """From the seed document to the verification, engines included; without it the hub is not believed."""
    file, key = certificate
    seed = tmp_path / "seed.json"
    port = free_port()

    def psr(command: str, *more: str) -> Result:
        words = [*command.split(), str(seed), *more]
        return CliRunner().invoke(cli, words, env={"PSR_SCH_PASSWORD": "admin@admin"})

    create_seed_file(paths.SAMPLE_MODEL, 3, 1, seed)
    with start_hub(tmp_path / "hub", certificate=file, key=key) as hub:
        where = ("--sch-url", hub.url, "--set", f"webhook_url=http://127.0.0.1:{port}/webhook")
        assert isinstance(psr("populate", *where).exception, HubError)
        trusting = (*where, "--ca-bundle", file)
        try:
            for command in ("populate", "engines start", "start-jobs", "verify"):
                done = psr(command, *trusting)
                assert done.exit_code == 0, (done.output, done.exception)
        finally:
            psr("engines stop")


def test_half_of_tls_is_refused(tmp_path: Path, certificate: tuple[str, str]) -> None:
    """A certificate without its key, one that is none, and the key of another."""
    file, key = certificate
    with pytest.raises(InputError, match="both files"):
        start_hub(tmp_path, certificate=file)
    with pytest.raises(InputError, match="in PEM"):
        start_hub(tmp_path, certificate=key, key=file)
    with pytest.raises(InputError, match="in PEM"):
        start_hub(tmp_path, certificate=str(tmp_path / "none"), key=key)
    assert last_start(tmp_path) == {}


def test_the_address_that_engines_reach_the_hub_by_can_be_told(tmp_path: Path) -> None:
    """A hub in a container listens on an address that means nothing to them."""
    with start_hub(tmp_path, public_url="http://hub:18631") as hub:
        assert hub.url.startswith("http://127.0.0.1:")
    assert last_start(tmp_path)["public_url"] == "http://hub:18631"


@pytest.fixture
def stranger() -> Iterator[str]:
    """A web server that answers 200 to everything, on an address that is not loopback."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "alive"}')

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer((EVERYWHERE, 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{EVERYWHERE}:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_embedded_hub_elsewhere_needs_no_yes(tmp_path: Path, stranger: str) -> None:
    """It says that it is one; another server that is up, and an address where nothing is, need --yes."""
    with start_hub(tmp_path, EVERYWHERE, admin_password=PASSWORD) as hub:
        url = f"http://{EVERYWHERE}:{hub.url.rpartition(':')[2]}"
        assert is_embedded(url)
        check_address(url, allow_remote=False)
    for other in (url, stranger):
        assert not is_embedded(other)
        with pytest.raises(InputError, match="--yes"):
            check_address(other, allow_remote=False)
        check_address(other, allow_remote=True)


def test_a_login_that_was_slowed_down_ends_well(tmp_path: Path) -> None:
    """The client waits as it is told, and the right password then opens the hub."""
    with start_hub(tmp_path) as hub:
        assert [log_in(hub.url, "wrong") for _ in range(5)] == [False] * 5
        try:
            assert log_in(hub.url, "admin@admin")
        except HubUnreachableError as error:
            pytest.fail(f"the client gave up: {error}")
