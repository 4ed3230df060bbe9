"""Role ids with their labels (control-hub-rest.md, 3.4); ids the reference does not know are marked."""

ROLES = {
    "user": "User",
    "org-user": "Organization User",
    "org-admin": "Organization Administrator",
    "auth-token-admin": "Auth Token Administrator",
    "datacollector:admin": "Engine Administrator",
    "datacollector:creator": "Engine Creator",
    "datacollector:manager": "Engine Manager",
    "datacollector:guest": "Engine Guest",
    "pipelinestore:pipelineEditor": "Pipeline Editor",
    "pipelinestore:user": "Pipeline User",
    "pipelinestore:rulesEditor": "Rules Editor",
    "jobrunner:operator": "Job Operator",
    "timeseries:reader": "Time Series Reader",
    "timeseries:writer": "Time Series Writer",
    "topology:editor": "Topology Editor",
    "topology:user": "Topology User",
    "notification:user": "Notification User",
    "sla:editor": "Data SLA Editor",
    "sla:user": "Data SLA User",
    "scheduler:operator": "Scheduler Operator",
    "reporting:operator": "Reporting Operator",
    "provisioning:operator": "Provisioning Operator",
    "policy:manager": "Policy Manager",
    "classification:admin": "Classification Administrator",
    "connection:user": "Connection User",
    "connection:editor": "Connection Editor",
    "csp:environment-manager": "Environment Manager",  # 4.x line: listed, guards nothing here
    "csp:deployment-manager": "Deployment Manager",  # 4.x line: listed, guards nothing here
    "system-admin": "System Administrator",  # id: this hub's choice
    "license-admin": "License Administrator",  # id: this hub's choice
    "dpm-authentication": "Control Hub Authentication",  # id: this hub's choice
}
SYSTEM_ROLES = frozenset({"system-admin", "license-admin"})
