"""``compose.yaml`` itself, run on PostgreSQL in a network of its own.

podman-compose reads the file and makes containers, network and volumes of it. Waiting until a service is
healthy, which podman leaves to systemd, is done here, as the file says. Where no registry has the image of
PostgreSQL, one is made from Debian packages.
"""

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.containers import LINTERS, PODMAN, ROOT, run
from support.waiting import wait_for

pytestmark = pytest.mark.images
POSTGRES = Path(__file__).parent / "postgres"
LIMITS = {"nofile": 20000, "nproc": 1024}  # a machine that may not raise its own wants them named
HEALTHY_S = 120


class Project:
    """The services of compose.yaml that no profile asks for, as containers that were made and not started."""

    def __init__(self, folder: Path) -> None:
        self.name = f"psr-{uuid.uuid4().hex[:8]}"
        self._compose = ["env", "PSR_PASSWORD=of our own", "PSR_NUM_ORGS=2", LINTERS / "podman-compose"]
        self._compose += ["--in-pod", "false", "--project-name", self.name, "--file", ROOT / "compose.yaml"]
        services = yaml.safe_load(run(*self._compose, "config"))["services"]
        self.services = {name: one for name, one in services.items() if "profiles" not in one}
        changes = folder / "changes.yaml"
        changes.write_text(
            yaml.safe_dump({"services": {k: self._change(v) for k, v in self.services.items()}})
        )
        changes.write_text(changes.read_text().replace("ports: []", "ports: !reset []"))
        self._compose += ["--file", changes]

    def _change(self, service: dict[str, Any]) -> dict[str, Any]:
        """Return what is different here: limits, no ports of the machine, no systemd that asks for health."""
        change: dict[str, Any] = {"ulimits": LIMITS}
        if "ports" in service:
            change["ports"] = []
        if "healthcheck" in service:
            change["healthcheck"] = {"interval": "disable"}
        return change

    def create(self) -> None:
        """Make the containers, and let podman start none of them for another one's sake."""
        run(*self._compose, "up", "--no-start", "--no-build", "--no-deps")

    def container(self, service: str) -> str:
        return f"{self.name}_{service}_1"

    def start(self, service: str, started: set[str]) -> None:
        """Start a service when what it depends on holds."""
        if service in started:
            return
        started.add(service)
        for other, wanted in self.services[service].get("depends_on", {}).items():
            self.start(other, started)
            self.wait(other, wanted["condition"])
        run(*PODMAN, "start", self.container(service))

    def wait(self, service: str, condition: str) -> None:
        if condition == "service_completed_successfully":
            code = run(*PODMAN, "wait", self.container(service)).strip()
            assert code == "0", f"{service} ended with {code}: {self.logs(service)}"
        elif condition == "service_healthy":
            wait_for(lambda: self._is_healthy(service), HEALTHY_S, lambda: f"{service}: {self.logs(service)}")

    def _is_healthy(self, service: str) -> bool:
        command = [*PODMAN, "healthcheck", "run", self.container(service)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def execute(self, service: str, *command: str) -> str:
        return run(*PODMAN, "exec", self.container(service), *command)

    def logs(self, service: str) -> str:
        return subprocess.run(
            [*PODMAN, "logs", self.container(service)],
            stdout=-1,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        ).stdout

    def down(self) -> None:
        run(*self._compose, "down", "--volumes", "--timeout", "5")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Its containers, created; removed with their volumes at the end."""
    project = Project(tmp_path)
    image = project.services["database"]["image"]
    if subprocess.run(["podman", "image", "exists", image], check=False).returncode:
        local = ("--quiet", "--isolation", "chroot", "--pull-never", "--format", "docker", "--layers")
        run("buildah", "bud", *local, "--tag", image, POSTGRES)
    try:
        project.create()
        yield project
    finally:
        project.down()


def test_compose_ends_with_a_verified_run_on_postgresql(project: Project) -> None:
    """Every service in its order; the report is on the volume, the hub's tables are in PostgreSQL.

    What Prometheus is told to ask answers it, and hub and fleet end with 0 when told to.
    """
    started: set[str] = set()
    for service in project.services:
        project.start(service, started)
    project.wait("verify", "service_completed_successfully")
    assert "Consistent" in project.logs("verify")
    look = "import pathlib; print(pathlib.Path('/psr/run/report/report.json').read_text())"
    report = json.loads(project.execute("hub", "python", "-c", look))
    assert report["consistent"], report["verdict"]
    count = "SELECT count(*) FROM organizations"
    assert (
        int(project.execute("database", "psql", "-U", "psr", "-tAc", count)) == 3
    )  # and the administrator's

    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    targets = [target for one in scraped for target in one["static_configs"][0]["targets"]]
    assert len(targets) == 2
    for target in targets:
        ask = f"import urllib.request as r; print(r.urlopen('http://{target}/metrics').read().decode())"
        assert "# TYPE psr_" in project.execute("hub", "python", "-c", ask)

    servers = [project.container(service) for service in ("engines", "hub")]
    run(*PODMAN, "stop", "--time", "10", *servers)
    codes = run("podman", "inspect", "--format", "{{.State.ExitCode}}", *servers)
    assert codes.split() == ["0", "0"]
