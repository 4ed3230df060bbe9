"""The container images, run as strictly as a cluster would: no network, read-only, no capabilities, not root.

``make image-test`` runs these after building both images; they need podman, and stay out of the ordinary set.
"""

import json
import subprocess
from pathlib import Path

import nbformat
import pytest

from psrlib import paths
from psrlib.seed import create_seed_file

pytestmark = pytest.mark.images
ROOT = Path(__file__).resolve().parent.parent.parent
LINTERS = ROOT / ".venv-images" / "bin"
STRICT = ["--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
STRICT += ["--security-opt", "no-new-privileges", "--ulimit", "nofile=20000:20000"]
MEGABYTE = 1e6


def run(*command: str | Path, status: int = 0) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def container(volume: Path, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """Run a command in a container with ``volume`` as its ``/psr``; return what it printed."""
    run_options = ["--rm", "--no-healthcheck", *STRICT, "--volume", f"{volume}:/psr", *options]
    return run("podman", "--runtime", "runc", "run", *run_options, image, *command)


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
    notebook = nbformat.read(volume / "out.ipynb", as_version=4)
    assert any("Consistent" in json.dumps(cell.get("outputs", [])) for cell in notebook.cells)


@pytest.mark.parametrize("image", ["psr:psr", "psr:lab"])
def test_an_image_is_not_root_and_holds_no_build_tools(image: str) -> None:
    """It runs as 10001 of group 0, is labelled, and neither uv nor this machine's package index is in it."""
    (found,) = json.loads(run("podman", "image", "inspect", image))
    assert found["Config"]["User"] == "10001:0"
    assert found["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert found["Labels"]["org.opencontainers.image.revision"] not in ("", "unknown")
    listing = run(
        "podman",
        "--runtime",
        "runc",
        "run",
        "--rm",
        "--no-healthcheck",
        "--network",
        "none",
        "--entrypoint",
        "sh",
        image,
        "-c",
        "ls /opt /etc/pip.conf 2>/dev/null; command -v uv; id -u",
    )
    assert listing.split() == ["psr", "10001"]


def test_only_the_lab_image_has_jupyter(volume: Path) -> None:
    """The command's image has neither JupyterLab nor test tools, and is smaller."""
    command = "ls /opt/psr/bin"
    psr = container(volume, "psr:psr", "-c", command, options=("--entrypoint", "sh")).split()
    lab = container(volume, "psr:lab", "sh", "-c", command).split()
    assert {"jupyter-lab", "papermill"} <= set(lab)
    assert not {"jupyter-lab", "papermill", "pytest", "ruff", "mypy"} & set(psr)


def test_dockerfile_compose_file_and_manifests_are_well_formed() -> None:
    """hadolint, podman-compose, yamllint and the schemas of Kubernetes find nothing to say."""
    manifests = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    run(LINTERS / "hadolint", "Dockerfile")
    run(LINTERS / "podman-compose", "--file", "compose.yaml", "config")
    run(LINTERS / "yamllint", "--strict", "compose.yaml", "deploy")
    run(LINTERS / "kubernetes-validate", "--strict", *map(str, manifests))
