"""All apps of the hub in one list."""

from importlib import import_module

from psrlib.hub.web.openapi import documentation
from psrlib.hub.web.routing import App, Route

MODULES = (
    "server",
    "security.sessions",
    "security.organizations",
    "security.users",
    "security.groups",
    "security.components",
    "security.credentials",
    "security.audits",
    "pipelinestore.pipelines",
    "pipelinestore.editing",
    "pipelinestore.archives",
    "jobrunner.jobs",
    "jobrunner.status",
    "jobrunner.control",
    "jobrunner.engines",
    "jobrunner.metrics",
    "jobrunner.archives",
    "messaging",
    "timeseries",
    "scheduler",
    "notification",
    "topology.topologies",
    "topology.archives",
    "connection",
    "sla",
    "reporting",
    "provisioning",
    "acls",
)


def all_apps() -> list[App]:
    """Return the apps in the order of the documentation."""
    apps = [import_module(f"psrlib.hub.apps.{name}").app for name in MODULES]
    return [app for app in apps if isinstance(app, App)]


def all_routes() -> list[Route]:
    """Return every route of every app."""
    return [route for app in all_apps() for route in app.routes]


# Endpoints the reference names that the hub answers with 501, and why.
NOT_SERVED = (
    ("POST", "/jobrunner/rest/v1/jobPolicy", "Data Protector add-on: not enabled"),
    ("GET", "/jobrunner/rest/v1/jobPolicy/{job}", "Data Protector add-on: not enabled"),
    ("*", "/policy/rest/v2/...", "Data Protector add-on: not enabled"),
    ("*", "/sdp_classification/rest/v2/...", "Data Protector add-on: not enabled"),
    ("*", "/metering/rest/v3/...", "4.x line only"),
    ("*", "/provisioning/rest/v1/csp/...", "environments and deployments of the 4.x line"),
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
    return documentation(all_apps(), NOT_SERVED)
