"""Review a run: bring its embedded hub and engines up if they are down, verify, leave things as they were."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import msgspec

from psrlib import paths
from psrlib.client import ControlHub
from psrlib.errors import AuthenticationError, InconsistentStateError
from psrlib.hub import EMBEDDED
from psrlib.model import NoiseModel
from psrlib.run import open_run, resolve_run
from psrlib.seed.document import SeedDocument
from psrlib.state import PopulateReport, apply_rewrite, wait_until_active
from psrlib.verify.report import VerificationReport
from psrlib.verify.tasks import driven_jobs
from psrlib.verify.verification import verify

log = logging.getLogger(__name__)


def review_run(
    document: SeedDocument,
    run_dir: str | Path,
    sch_url: str = EMBEDDED,
    sch_username: str = "admin@admin",
    *,
    sch_password: str | None = None,
    model: NoiseModel | None = None,
    timeout_s: float = 60.0,
    **options: Any,
) -> VerificationReport:
    """Verify a run, waiting up to ``timeout_s`` seconds for its jobs to run; see `open_run` and `verify`."""
    with open_run(run_dir, document, sch_url, sch_username, sch_password=sch_password, **options) as hub:
        settle(document, hub, timeout_s)
        return verify(document, hub, model)


def apply_to_run(
    document: SeedDocument,
    rewritten: SeedDocument,
    run_dir: str | Path,
    sch_url: str = EMBEDDED,
    **where: Any,
) -> PopulateReport:
    """Update a run's hub from a document to its rewritten form; see `open_run` and `apply_rewrite`."""
    before, after = (resolve_run(one, run_dir, make=False) for one in (document, rewritten))
    with open_run(run_dir, before, sch_url, command="psr rewrite --apply", **where) as hub:
        return apply_rewrite(before, after, hub)


def settle(document: SeedDocument, hub: ControlHub, timeout_s: float) -> None:
    """Wait until the jobs that should be ACTIVE run, those of scheduled tasks excepted.

    What does not run in time, and what is not there, is left for the verification to tell.
    """
    driven = driven_jobs(document)
    present = {id for id, row in hub.organizations().items() if row.get("active", True)}
    organizations = [
        msgspec.structs.replace(o, jobs=[job for job in o.jobs if (o.id, job.key) not in driven])
        for o in document.organizations
        if o.id in present
    ]
    if not organizations:
        return
    try:
        wait_until_active(msgspec.structs.replace(document, organizations=organizations), hub, timeout_s)
    except (InconsistentStateError, AuthenticationError) as error:
        log.info("not settled: %s", error)


def find_model(document: SeedDocument) -> NoiseModel | None:
    """Return the noise model that a document was drawn from, known by its digest.

    Looked for among the models of the kit and those of the user (`psrlib.paths.user_models`); None if it is
    in neither folder.
    """
    for path in [*sorted(paths.MODELS.glob("*.json")), *sorted(paths.user_models().glob("*.json"))]:
        if hashlib.sha256(path.read_bytes()).hexdigest() == document.provenance.model_sha256:
            return NoiseModel.load(path)
    return None
