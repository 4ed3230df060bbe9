"""Tables of what acts by itself: scheduled tasks, subscriptions, alerts, agents, deployments, sequences."""

from sqlalchemy import Index

from psrlib.hub.store.schema.columns import audit, flag, json, moment, number, serial, table, text

tasks = table(
    "tasks",
    "Scheduled tasks",
    text("id", "Task id, plain uuid", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name"),
    text("job_id", "Job or report definition acted on"),
    text("action", "START, STOP or UPGRADE"),
    text("cron", "Quartz expression, seconds first"),
    text("time_zone", "Time zone name"),
    text("status", "RUNNING, PAUSED, KILLED, DELETED or FINISHED"),
    text("missed", "IGNORE, RUN_ALL or RUN_ONCE"),
    moment("start_time", "Not before"),
    moment("end_time", "Not after; 0 means open"),
    moment("next_time", "Next firing; 0 when none"),
    json("document", "JSON object: type, description, job or report as given"),
    *audit(),
    Index("tasks_by_organization", "organization", "name"),
    Index("tasks_due", "status", "next_time"),
)

task_runs = table(
    "task_runs",
    "Firings of scheduled tasks",
    text("id", "Run id, plain uuid", primary_key=True),
    text("task_id", "Task id"),
    moment("scheduled_time", "When it was due"),
    moment("time", "When it was done"),
    text("status", "SUCCESS or ERROR"),
    text("message", "What happened", default=""),
    Index("task_runs_by_task", "task_id", "scheduled_time"),
)

task_audits = table(
    "task_audits",
    "Changes of scheduled tasks",
    serial("id", "Arrival order"),
    text("task_id", "Task id"),
    text("action", "CREATE, UPDATE, PAUSE, RESUME or KILL"),
    text("user_id", "Who"),
    moment("time", "When"),
    Index("task_audits_by_task", "task_id"),
)

subscriptions = table(
    "subscriptions",
    "Event subscriptions",
    text("id", "Subscription id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name"),
    text("description", "Description", nullable=True),
    flag("enabled", "False: never fires", default=True),
    flag("deleted", "Soft delete"),
    json("events", "JSON list of {eventType, filter}"),
    json("actions", "JSON list with one {eventType, config}"),
    text("error_message", "Last failure of the action", nullable=True),
    number("forgotten_actions", "Actions that action_runs held before they were too old", default=0),
    *audit(),
    Index("subscriptions_by_organization", "organization", "name"),
)

action_runs = table(
    "action_runs",
    "External actions taken or waiting for subscriptions",
    serial("id", "Arrival order"),
    text("organization", "Organization id"),
    text("subscription_id", "Subscription id"),
    text("subscription_name", "Its name at the time"),
    text("event", "Event type"),
    text("action_type", "EMAIL or WEBHOOKV1"),
    json("values", "JSON object of message parameters"),
    text("state", "WAITING, DONE or FAILED"),
    text("message", "Outcome", default=""),
    number("attempts", "Tries so far", default=0),
    moment("created_on", "When the event happened"),
    Index("action_runs_by_organization", "organization", "created_on"),
    Index("action_runs_by_subscription", "subscription_id", "created_on"),
    Index("action_runs_waiting", "state"),
)

alerts = table(
    "alerts",
    "Alerts",
    text("id", "Alert id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("label", "Text"),
    text("status", "ACTIVE or ACKNOWLEDGED"),
    text("type", "Kind of alert"),
    text("resource_id", "Object the alert is about, such as a job"),
    text("rule_id", "What raised it, such as a data SLA", nullable=True),
    text("additional_info", "JSON text", nullable=True),
    moment("triggered_on", "When"),
    text("acked_by", "Who acknowledged", nullable=True),
    moment("acked_on", "When it was acknowledged"),
    Index("alerts_by_organization", "organization", "status"),
)

agents = table(
    "agents",
    "Provisioning agents",
    text("id", "Agent id, chosen by the installer", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name"),
    text("version", "Version"),
    text("url", "Address", default=""),
    moment("last_reported_time", "Last contact"),
    Index("agents_by_organization", "organization"),
)

deployments = table(
    "deployments",
    "Deployments of the agent kind",
    text("id", "Deployment id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name"),
    text("description", "Description", nullable=True),
    json("labels", "JSON list of engine labels"),
    number("instances", "Engines wanted"),
    text("spec", "YAML text", nullable=True),
    text("agent_id", "Agent id", nullable=True),
    text("status", "INACTIVE, ACTIVATING, ACTIVE, DEACTIVATING or INACTIVE_ERROR"),
    text("error_message", "Why it failed", nullable=True),
    *audit(),
    Index("deployments_by_organization", "organization", "name"),
)

csp_environments = table(
    "csp_environments",
    "Environments of release 4",
    text("id", "Environment id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name"),
    text("kind", "SELF", default="SELF"),
    text("state", "INCOMPLETE, ENABLED or DISABLED"),
    moment("state_changed_on", "Last change of the state by a user"),
    flag("allow_snapshot_engine_versions", "Whether engines may be nightly builds"),
    json("tags", "JSON list of tag texts"),
    *audit(),
    Index("csp_environments_by_organization", "organization", "name"),
)

csp_deployments = table(
    "csp_deployments",
    "Deployments of release 4",
    text("id", "Deployment id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name"),
    text("kind", "SELF", default="SELF"),
    text("environment", "Environment id"),
    text("state", "INCOMPLETE, ENABLED or DISABLED"),
    moment("state_changed_on", "Last change of the state by a user"),
    text("engine_type", "DC or TF"),
    json("engine_configuration", "JSON object as on the wire"),
    text("install_type", "TARBALL or DOCKER", nullable=True),
    json("tags", "JSON list of tag texts"),
    flag("locked", "Whether it cannot be changed"),
    text("lock_reference", "Why", nullable=True),
    text("lock_changed_by", "User id of who locked or unlocked it", nullable=True),
    moment("lock_changed_at", "When it was locked or unlocked"),
    *audit(),
    Index("csp_deployments_by_organization", "organization", "name"),
    Index("csp_deployments_by_environment", "environment"),
)

sequences = table(
    "sequences",
    "Sequences of jobs, of release 4",
    text("id", "Sequence id, <uuid>:<organization>", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Name"),
    text("description", "Description", nullable=True),
    text("status", "INACTIVE, ACTIVE, DISABLED or ERROR"),
    moment("start_time", "Not before", nullable=True),
    moment("end_time", "Not after", nullable=True),
    text("timezone", "Time zone name"),
    text("crontab_mask", "When it runs, as given", nullable=True),
    text("end_time_condition", "NEVER or ON", default="NEVER"),
    flag("repeat_enabled", "As given"),
    flag("start_time_enabled", "As given"),
    json("steps", "JSON list of steps as on the wire"),
    json("jobs", "JSON list of the ids of all jobs in the steps"),
    number("run_count", "Runs so far", default=0),
    moment("last_run_time", "Last run"),
    *audit(),
    Index("sequences_by_organization", "organization", "name"),
)
