"""All apps of the hub in one list."""

from psrlib.hub.apps import (
    acls,
    connection,
    messaging,
    notification,
    provisioning,
    reporting,
    saql,
    scheduler,
    sequencing,
    server,
    sla,
    timeseries,
)
from psrlib.hub.apps.csp import deployments, engine_versions, environments
from psrlib.hub.apps.jobrunner import archives as job_archives
from psrlib.hub.apps.jobrunner import control, drafts, engines, jobs, metrics, status, templates
from psrlib.hub.apps.page import pages
from psrlib.hub.apps.pipelinestore import archives as pipeline_archives
from psrlib.hub.apps.pipelinestore import editing, pipelines
from psrlib.hub.apps.security import (
    audits,
    components,
    credentials,
    groups,
    login_service,
    organizations,
    platform,
    sessions,
    users,
)
from psrlib.hub.apps.topology import archives as topology_archives
from psrlib.hub.apps.topology import topologies
from psrlib.hub.web.openapi import documentation
from psrlib.hub.web.routing import App, Route

# in the order of the documentation
APPS: tuple[App, ...] = (
    server.app,
    pages.app,
    sessions.app,
    organizations.app,
    users.app,
    groups.app,
    components.app,
    credentials.app,
    platform.app,
    login_service.app,
    audits.app,
    pipelines.app,
    editing.app,
    pipeline_archives.app,
    jobs.app,
    drafts.app,
    templates.app,
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
    environments.app,
    engine_versions.app,
    deployments.app,
    sequencing.app,
    saql.jobrunner,
    saql.pipelinestore,
    saql.sequencer,
    acls.app,
)


def all_routes(release: int = 3) -> list[Route]:
    """Return every route of every app that a release has."""
    return [route for app in APPS for route in app.routes if route.release in (0, release)]


def not_served(release: int = 3) -> list[tuple[str, str]]:
    """Return method and path of what the hub of a release answers with 501 though the reference names it."""
    return [(method, path) for method, path, _, only in NOT_SERVED if only in (0, release)]


EVENT_IDS = "the ids of these events to engines are not known"
NO_SERIES = "see recordCountsForAllRuns and query: a run's latest figures"
AUDITS = "see /jobrunner/rest/v1/metrics/listAclAudits"
# Endpoints the reference names that the hub answers with 501, why, and of which release only.
NOT_SERVED = (
    ("GET", "/jobrunner/rest/v1/job/logMessages", "the hub keeps no logs of its runs", 0),
    ("POST", "/jobrunner/rest/v1/job/jobTagsBulk", "jobs carry their tags", 3),
    ("GET", "/topology/rest/v1/topology/listAclAudits", AUDITS, 0),
    ("GET", "/connection/rest/v1/connection/listAclAudits", AUDITS, 0),
    ("GET", "/provisioning/rest/v1/csp/environment/listAclAudits", AUDITS, 4),
    ("GET", "/provisioning/rest/v1/csp/deployment/listAclAudits", AUDITS, 4),
    ("GET", "/sequencing/rest/v1/sequencing/listAclAudits", AUDITS, 4),
    ("POST", "/jobrunner/rest/v1/jobPolicy", "Data Protector add-on: not enabled", 0),
    ("GET", "/jobrunner/rest/v1/jobPolicy/{job}", "Data Protector add-on: not enabled", 0),
    ("*", "/policy/rest/v2/...", "Data Protector add-on: not enabled", 0),
    ("*", "/sdp_classification/rest/v2/...", "Data Protector add-on: not enabled", 0),
    ("*", "/metering/rest/v3/...", "4.x line only", 0),
    ("*", "/provisioning/rest/v1/csp/...", "environments and deployments of the 4.x line", 3),
    ("GET", "/provisioning/rest/v1/dpmAgents/versions", "no quick-start client asks it", 0),
    ("GET", "/provisioning/rest/v1/deployments/byStatus", "no quick-start client asks it", 0),
    ("GET", "/provisioning/rest/v1/deployments/status", "no quick-start client asks it", 0),
    ("POST", "/provisioning/rest/v1/deployment/{deployment}/scale", "no quick-start client asks it", 0),
    ("GET", "/security/rest/v1/metrics/{org}/...", "see users, listLogins and listActions", 0),
    ("GET", "/security/rest/v1/sessions/...", "no client asks who is logged in", 0),
    (
        "GET",
        "/timeseries/rest/v1/metrics/executor/{engine}/...",
        "engines are listed with their last figures",
        0,
    ),
    ("GET", "/timeseries/rest/v1/metrics/job/{job}/recordCount", NO_SERIES, 0),
    ("GET", "/timeseries/rest/v1/metrics/job/{job}/recordThroughput", NO_SERIES, 0),
    ("GET", "/timeseries/rest/v1/metrics/job/{job}/sankey", NO_SERIES, 0),
    ("POST", "/reporting/rest/v1/report/{definition}/generateReport", "no reports are made", 0),
    ("GET", "/reporting/rest/v1/report/{definition}/reports", "no reports are made", 0),
    ("GET", "/reporting/rest/v1/report/{definition}/{report}/...", "no reports are made", 0),
    ("GET", "/tunneling/rest/v1/connect", "WebSocket tunnel: engines are not told of it", 0),
    (
        "POST",
        "/dynamic_preview/rest/v2/dynamic_preview/createDynamicPreviewEvent",
        "preview needs a real engine",
        0,
    ),
    ("*", "/provisioning/rest/v1/csp/aws|azure|gcp|kubernetes/...", "clouds and Kubernetes", 4),
    ("GET", "/provisioning/rest/v1/csp/environments/audits", "no audits of environments are kept", 4),
    ("GET", "/provisioning/rest/v1/csp/deployments/audits", "no audits of deployments are kept", 4),
    ("POST", "/provisioning/rest/v1/csp/deployment/{deployment}/restartEngines", EVENT_IDS, 4),
    ("POST", "/jobrunner/rest/v1/sdcs/restartEngines", EVENT_IDS, 4),
    ("POST", "/jobrunner/rest/v1/sdcs/shutdownEngines", EVENT_IDS, 4),
    ("GET", "/jobrunner/rest/v1/job/{template}/runHistory", "runs of templates are not kept together", 4),
    ("GET", "/sequencing/rest/v1/sequencing/{sequence}/historyLog", "no log of sequences is kept", 4),
    ("*", "/.../rest/v3/importer/...", "migration from 3.x: the bodies are not known", 4),
    ("*", "/pipelinestore/rest/v1/credential/snowflake", "Snowflake", 4),
    ("*", "/jobrunner2/...", "job sets", 4),
    ("*", "/.../projects/...", "projects", 4),
    ("*", "/tunneling/rest/{engine}/rest/...", "mock engines have no REST API", 4),
    ("GET", "/rest/v1/system/components", "admin tool: another server and port", 0),
    ("GET", "/rest/v1/system/log", "admin tool: another server and port", 0),
)


def hub_documentation() -> str:
    """Return docs/embedded-hub.md."""
    return documentation(APPS, NOT_SERVED)
