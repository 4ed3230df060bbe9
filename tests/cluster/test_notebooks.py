"""The notebooks' parameter `scheduler`."""

from contextlib import closing
from pathlib import Path

import pytest
from support.dask_cluster import DaskCluster

from psrlib.cluster import connect
from psrlib.fleets import fleets_status
from psrlib.run import stop_run

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"


@pytest.mark.long
def test_notebooks_on_a_cluster(dask: DaskCluster, tmp_path: Path) -> None:
    """Populate, verify and collect by way of the workers; no engine is left when the notebook ends."""
    import papermill  # seconds of imports, in each process that collects the tests

    parameters = {"num_orgs": 3, "run_dir": str(tmp_path / "run"), "scheduler": dask.address}
    own = {"populate": {}, "verify": {}, "collect": {"output_dir": str(tmp_path / "stats")}}
    try:
        for name, more in own.items():
            output = str(tmp_path / f"{name}.ipynb")
            papermill.execute_notebook(
                str(NOTEBOOKS / f"{name}.ipynb"), output, {**parameters, **more}, cwd=str(NOTEBOOKS)
            )
            if name == "populate":
                with closing(connect(dask.address)) as client:
                    assert fleets_status(client, tmp_path / "run")["shards"] == []
    finally:
        stop_run(tmp_path / "run")
    assert (tmp_path / "stats" / "orgs.csv").exists()
