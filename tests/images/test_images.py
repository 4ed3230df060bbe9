"""The container images, run as strictly as a cluster would: no network, read-only, no capabilities, not root.

``make image-test`` runs these after building both images; they need podman, and stay out of the ordinary set.
"""

import json
from pathlib import Path

import pytest
from support.containers import LINTERS, PODMAN, ROOT, run

from psrlib import paths
from psrlib.seed import create_seed_file

pytestmark = pytest.mark.images
STRICT = ["--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
STRICT += [
    "--security-opt",
    "no-new-privileges",
    "--ulimit",
    "nofile=20000:20000",
    "--ulimit",
    "nproc=1024:1024",
]
MEGABYTE = 1e6


def container(volume: Path, image: str, *command: str, options: tuple[str, ...] = (), status: int = 0) -> str:
    """Run a command in a container with ``volume`` as its ``/psr``; return what it printed."""
    run_options = ["--rm", "--no-healthcheck", *STRICT, "--volume", f"{volume}:/psr", *options]
    return run(*PODMAN, "run", *run_options, image, *command, status=status)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A folder that every uid of group 0 may write, as a volume of a cluster is."""
    tmp_path.chmod(0o777)
    return tmp_path


def test_the_command_starts_fast(volume: Path) -> None:
    """`psr --help` in the container takes less than 0.3 s of processor time."""
    measure = (
        "import resource, subprocess; subprocess.run(['psr', '--help'], stdout=subprocess.DEVNULL);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    used_s = min(
        float(container(volume, "psr:psr", "-c", measure, options=("--entrypoint", "python")))
        for _ in range(3)
    )
    assert used_s < 0.3


@pytest.mark.parametrize("uid", ["10001:0", "12345:0"])
def test_a_seed_document_has_the_same_bytes_inside_and_outside(volume: Path, uid: str) -> None:
    """Another Python, another numpy build: the same digest; whatever the uid in group 0."""
    inside = container(volume, "psr:psr", "create-json", options=("--user", uid))
    digest = create_seed_file(paths.default_model(), 19071990, 10, volume / "outside.json", 1)
    assert digest in inside
    assert (volume / "runs/19071990-10/seed.json").read_bytes() == (volume / "outside.json").read_bytes()


def test_the_whole_notebook_runs_in_the_lab_image(volume: Path) -> None:
    """Populate, engines, jobs and verification, to the verdict, without a network."""
    work = "psr notebooks nb && papermill --no-progress-bar nb/populate.ipynb out.ipynb -p num_orgs 3"
    container(volume, "psr:lab", "sh", "-c", work)
    report = json.loads((volume / "runs" / "19071990-3" / "report" / "report.json").read_text())
    assert report["consistent"], report["verdict"]
    assert (volume / "out.ipynb").exists()


@pytest.mark.parametrize("image", ["psr:psr", "psr:lab"])
def test_an_image_is_not_root_and_holds_no_build_tools(volume: Path, image: str) -> None:
    """It runs as 10001 of group 0, is labelled, and neither uv nor this machine's package index is in it."""
    (found,) = json.loads(run("podman", "image", "inspect", image))
    assert found["Config"]["User"] == "10001:0"
    assert found["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert found["Labels"]["org.opencontainers.image.revision"] not in ("", "unknown")
    look = "ls /opt; cat /etc/pip.conf 2>/dev/null; command -v uv; id -u"
    listing = container(volume, image, "-c", look, options=("--entrypoint", "sh"))
    assert listing.split() == ["psr", "10001"]


def test_the_image_of_the_command_is_small() -> None:
    """Less than 350 MB unpacked, with the base image."""
    (found,) = json.loads(run("podman", "image", "inspect", "psr:psr"))
    assert found["Size"] < 350 * MEGABYTE


def test_the_image_of_the_command_says_where_to_fit(volume: Path) -> None:
    """It is without scikit-learn and names the image that has it, which does."""
    fit = ("fit", "/psr", "-o", "/psr/model.json")
    assert "the container image psr:lab has it" in container(volume, "psr:psr", *fit, status=2)
    container(volume, "psr:lab", "python", "-c", "import psrlib.model.fit")


def test_only_the_lab_image_has_jupyter(volume: Path) -> None:
    """The command's image has neither JupyterLab nor test tools."""
    command = "ls /opt/psr/bin"
    psr = container(volume, "psr:psr", "-c", command, options=("--entrypoint", "sh")).split()
    lab = container(volume, "psr:lab", "sh", "-c", command).split()
    assert {"jupyter-lab", "papermill"} <= set(lab)
    assert not {"jupyter-lab", "papermill", "pytest", "ruff", "mypy"} & set(psr)


def test_dockerfile_compose_file_and_manifests_are_well_formed() -> None:
    """hadolint, podman-compose, yamllint and the schemas of Kubernetes find nothing to say."""
    manifests = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    run(LINTERS / "hadolint", "Dockerfile")
    run("env", "PSR_PASSWORD=any", LINTERS / "podman-compose", "--file", "compose.yaml", "config")
    run(LINTERS / "yamllint", "--strict", "compose.yaml", "deploy")
    run(LINTERS / "kubernetes-validate", "--strict", *map(str, manifests))
