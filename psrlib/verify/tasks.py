"""Jobs that scheduled tasks start or stop: judged by their run history, not by the momentary status."""

from psrlib.seed.document import SeedDocument

DRIVING = ("START", "STOP")


def driven_jobs(document: SeedDocument) -> set[tuple[str, str]]:
    """Return (organization, job key) of jobs that a scheduled task starts or stops."""
    return {
        (organization.id, task.job)
        for organization in document.organizations
        for task in organization.scheduled_tasks
        if task.action in DRIVING
    }
