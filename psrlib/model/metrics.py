"""The words of a model file: metrics, limits and their order."""

# Counts every organization has, in the order in which they are drawn (design.md, section 3).
COUNTS = (
    "users",
    "groups",
    "engines",
    "pipelines",
    "jobs",
    "active_jobs",
    "job_templates",
    "scheduled_tasks",
    "subscriptions",
    "topologies",
    "connections",
)
# Configuration of an organization; -1 means "not set".
CONFIG = (
    "subscriptions_enabled",
    "max_users",
    "max_engines",
    "max_pipelines",
    "max_jobs",
    "max_job_runs",
    "max_scheduled_runs",
)
NOT_SET = -1
LIMIT_OF = {"users": "max_users", "engines": "max_engines", "pipelines": "max_pipelines", "jobs": "max_jobs"}
# Details every model has: what the entities of an organization look like.
DETAILS = (
    "pipeline_shape",
    "commits",
    "pipeline_labels",
    "job_tags",
    "job_instances",
    "owner_rank",
    "schedule_cron",
    "schedule_action",
    "subscription_event",
    "subscription_action",
    "user_roles",
)
