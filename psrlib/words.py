"""The words for what an organization has: metrics, limits, kinds of entities, roles.

One list of each for stats sets, models, seed documents, and what is read from a hub. The embedded hub has its
own: a wrong word in both would be right on both sides.
"""

# Counts of entities per organization; the required ones stand in every model. A stats set needs those without
# which there is nothing to draw; a fit takes the others from another model.
NEEDED_COUNTS = ("users", "pipelines", "jobs")
OPTIONAL_COUNTS = ("groups", "job_templates", "topologies", "connections")
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
REQUIRED_COUNTS = tuple(name for name in COUNTS if name not in OPTIONAL_COUNTS)
# Configuration of an organization: whether it may subscribe to events, then limits; NOT_SET where not set.
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
# What counts against each limit of an organization. Published documents name the limits, not what counts
# (control-hub-rest, 2.3), so whatever a hub may count does: what fits so fits on any hub.
COUNTED = {
    "max_users": ("users",),
    "max_engines": ("engines",),
    "max_pipelines": ("pipelines", "fragments"),
    "max_jobs": ("jobs", "job_templates"),
}
LIMIT_OF = {name: limit for limit, names in COUNTED.items() for name in names}
# Kinds of entities, and one of them; in an order in which each refers to earlier ones, as a hub wants them.
KINDS = {
    "groups": "group",
    "users": "user",
    "engines": "engine",
    "connections": "connection",
    "fragments": "fragment",
    "pipelines": "pipeline",
    "jobs": "job",
    "scheduled_tasks": "scheduled task",
    "subscriptions": "subscription",
    "topologies": "topology",
}
# Roles that let a user create objects of a kind (control-hub-rest, 3.4); the hub has the last word.
CREATOR_ROLES = {
    "connections": "connection:editor",
    "fragments": "pipelinestore:pipelineEditor",
    "pipelines": "pipelinestore:pipelineEditor",
    "jobs": "jobrunner:operator",
    "scheduled_tasks": "scheduler:operator",
    "subscriptions": "notification:user",
    "topologies": "topology:editor",
}
OWNED = tuple(CREATOR_ROLES)  # kinds whose objects have an owner
ADMINISTRATOR_ROLE = "org-admin"
# What entities of a kind refer to (kind and column of its detail table): the count of what there is to choose
LINKS = {
    ("pipelines", "owner"): "users",
    ("jobs", "owner"): "users",
    ("jobs", "pipeline"): "pipelines",
    ("scheduled_tasks", "job"): "jobs",
}
# Numbers of entities (kind and column) that are at most a count of their organization
AT_MOST = {("users", "groups"): "groups"}
# What a subscription reacts to and what a scheduled task does with its job.
EVENTS = ("JOB_STATUS_CHANGE", "PIPELINE_STATUS_CHANGE", "PIPELINE_COMMITTED")
ACTIONS = ("START", "STOP", "UPGRADE")
