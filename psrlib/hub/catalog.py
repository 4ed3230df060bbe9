"""All apps of the hub in one list."""

from psrlib.hub.apps import (
    acls,
    connection,
    messaging,
    notification,
    provisioning,
    reporting,
    scheduler,
    server,
    sla,
    timeseries,
)
from psrlib.hub.apps.jobrunner import archives as job_archives
from psrlib.hub.apps.jobrunner import control, engines, jobs, metrics, status
from psrlib.hub.apps.pipelinestore import archives as pipeline_archives
from psrlib.hub.apps.pipelinestore import editing, pipelines
from psrlib.hub.apps.security import audits, components, credentials, groups, organizations, sessions, users
from psrlib.hub.apps.topology import archives as topology_archives
from psrlib.hub.apps.topology import topologies
from psrlib.hub.web.openapi import documentation
from psrlib.hub.web.routing import App, Route

# in the order of the documentation
APPS: tuple[App, ...] = (
    server.app,
    sessions.app,
    organizations.app,
    users.app,
    groups.app,
    components.app,
    credentials.app,
    audits.app,
    pipelines.app,
    editing.app,
    pipeline_archives.app,
    jobs.app,
    status.app,
    control.app,
    engines.app,
    metrics.app,
    job_archives.app,
    messaging.app,
    timeseries.app,
    scheduler.app,
    notification.app,
    topologies.app,
    topology_archives.app,
    connection.app,
    sla.app,
    reporting.app,
    provisioning.app,
    acls.app,
)


def all_routes() -> list[Route]:
    """Return every route of every app."""
    return [route for app in APPS for route in app.routes]


# Endpoints the reference names that the hub answers with 501, and why.
NOT_SERVED = (
    ("GET", "/jobrunner/rest/v1/job/logMessages", "the hub keeps no logs of its runs"),
    ("POST", "/jobrunner/rest/v1/job/jobTagsBulk", "jobs carry their tags"),
    ("GET", "/topology/rest/v1/topology/listAclAudits", "see /jobrunner/rest/v1/metrics/listAclAudits"),
    ("GET", "/connection/rest/v1/connection/listAclAudits", "see /jobrunner/rest/v1/metrics/listAclAudits"),
    ("POST", "/jobrunner/rest/v1/jobPolicy", "Data Protector add-on: not enabled"),
    ("GET", "/jobrunner/rest/v1/jobPolicy/{job}", "Data Protector add-on: not enabled"),
    ("*", "/policy/rest/v2/...", "Data Protector add-on: not enabled"),
    ("*", "/sdp_classification/rest/v2/...", "Data Protector add-on: not enabled"),
    ("*", "/metering/rest/v3/...", "4.x line only"),
    ("*", "/provisioning/rest/v1/csp/...", "environments and deployments of the 4.x line"),
    ("GET", "/provisioning/rest/v1/dpmAgents/versions", "no quick-start client asks it"),
    ("GET", "/provisioning/rest/v1/deployments/byStatus", "no quick-start client asks it"),
    ("GET", "/provisioning/rest/v1/deployments/status", "no quick-start client asks it"),
    ("POST", "/provisioning/rest/v1/deployment/{deployment}/scale", "no quick-start client asks it"),
    ("POST", "/reporting/rest/v1/report/{definition}/generateReport", "no reports are made"),
    ("GET", "/reporting/rest/v1/report/{definition}/reports", "no reports are made"),
    ("GET", "/reporting/rest/v1/report/{definition}/{report}/...", "no reports are made"),
    ("GET", "/tunneling/rest/v1/connect", "WebSocket tunnel: engines are not told of it"),
    (
        "POST",
        "/dynamic_preview/rest/v2/dynamic_preview/createDynamicPreviewEvent",
        "preview needs a real engine",
    ),
    ("GET", "/rest/v1/system/components", "admin tool: another server and port"),
    ("GET", "/rest/v1/system/log", "admin tool: another server and port"),
)


def hub_documentation() -> str:
    """Return docs/embedded-hub.md."""
    return documentation(APPS, NOT_SERVED)
