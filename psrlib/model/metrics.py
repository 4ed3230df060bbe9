"""The rules between the metrics of an organization, and the order of drawing that keeps them."""

from psrlib.words import CONFIG, COUNTS

INACTIVE = "inactive_jobs"  # a hand-written archetype may give active_jobs and inactive_jobs instead of jobs
# A metric that is zero where the other one is zero: a task acts on a job, a template runs a pipeline.
NEEDS = {
    "jobs": "pipelines",
    "active_jobs": "jobs",
    "scheduled_tasks": "jobs",
    "subscriptions": "jobs",
    "job_templates": "pipelines",
}
# A metric that is at least one where the other one is not zero: a job runs a pipeline.
NEEDED_BY = {"pipelines": "jobs"}
AT_LEAST = {"users": 1}  # every organization has its first administrator
# Drawn first, in this order, so that limits and rules are known when they are needed.
FIRST = (*CONFIG, "active_jobs", INACTIVE)
LEADING = (*CONFIG, "jobs", "pipelines", "active_jobs")
# Details every model has: what the entities of an organization look like.
DETAILS = (
    "pipeline_shape",
    "commits",
    "pipeline_labels",
    "job_tags",
    "job_instances",
    "schedule_cron",
    "schedule_action",
    "subscription_event",
    "subscription_action",
    "user_roles",
)


def drawing_order(metrics: set[str]) -> list[str]:
    """Return the metrics of an archetype in an order that lets every rule hold by construction.

    Examples
    --------
    >>> drawing_order({"users", "pipelines", "active_jobs", "inactive_jobs", "max_users"})
    ['max_users', 'active_jobs', 'inactive_jobs', 'users', 'pipelines']
    """
    leading = FIRST if INACTIVE in metrics else LEADING
    known = (*leading, *(metric for metric in COUNTS if metric not in leading))
    return [metric for metric in known if metric in metrics] + sorted(metrics - set(known))
