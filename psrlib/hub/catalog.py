"""All apps of the hub in one list."""

from importlib import import_module

from psrlib.hub.routing import App, Route

MODULES = (
    "server",
    "security_sessions",
    "security_organizations",
    "security_users",
    "security_components",
    "security_credentials",
    "security_audits",
    "pipelinestore",
    "pipelinestore_archives",
    "jobrunner_jobs",
    "jobrunner_status",
    "jobrunner_control",
    "jobrunner_engines",
    "jobrunner_metrics",
    "jobrunner_archives",
    "messaging",
    "timeseries",
    "scheduler",
    "notification",
    "topology",
    "topology_archives",
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
