"""Server-level resources: health, server/info, translations, swagger documents."""

from msgspec import UNSET, Struct, UnsetType

from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call
from psrlib.hub.web.openapi import app_openapi, openapi, swagger
from psrlib.hub.web.routing import ANYONE, COMPONENT, USER, App

app = App("server")

DOCUMENTED_APPS = (
    "security",
    "pipelinestore",
    "jobrunner",
    "timeseries",
    "messaging",
    "scheduler",
    "notification",
    "topology",
    "connection",
    "sla",
    "reporting",
    "provisioning",
    "sequencing",
)

EVENT_TYPES = {
    "PIPELINE_COMMITTED": "Pipeline Committed",
    "JOB_STATUS_CHANGE": "Job Status Change",
    "PIPELINE_STATUS_CHANGE": "Pipeline Status Change",
    "DATA_SLA_TRIGGERED": "Data SLA Triggered",
    "REPORT_GENERATED": "Report Generated",
    "SDC_NOT_RESPONDING": "Data Collector not Responding",
    "MAX_GLOBAL_FAILOVER_RETRIES_EXHAUSTED": "Max Global Failover Retries Exhausted",
}


BUILT_BY = "embedded"


class HealthJson(Struct, rename="camel"):
    """Whether the hub is up; the rest is the embedded hub's own, and told when it is asked for."""

    status: str = "alive"
    built_by: str | UnsetType = UNSET
    strict: bool | UnsetType = UNSET
    unknown_fields: int | UnsetType = UNSET
    wrong_types: int | UnsetType = UNSET


class ServerInfoJson(Struct, rename="camel"):
    """What the hub is."""

    version: str
    built_by: str = BUILT_BY
    built_date: str = ""
    server_time_zone: str = "UTC"


@app.route(
    "GET",
    "/public-rest/v1/health",
    ANYONE,
    direct=True,
    choice="details: that it is an embedded hub, how many fields of bodies it did not know and how many "
    "values in definitions had a wrong type since its start; its log names each once; a strict hub refuses "
    "them with 400",
)
async def health(call: Call, details: bool = False) -> HealthJson:
    """Say that the hub is up and its database answers."""
    await call.hub.probe()
    if not details:
        return HealthJson()
    met = call.hub.strictness
    return HealthJson(
        built_by=BUILT_BY,
        strict=met.strict,
        unknown_fields=met.counts["unknown field"],
        wrong_types=met.counts["wrong type"],
    )


@app.route(
    "GET", "/rest/v1/server/info", USER, choice="version is a fixed number of the release; buildTime is empty"
)
def server_info(call: Call) -> ServerInfoJson:
    """Return the version of the hub."""
    return ServerInfoJson(call.hub.release.version)


@app.route("GET", "/rest/v1/availableApps", COMPONENT, choice="no tunneling: engines open no WebSocket")
def available_apps(call: Call) -> list[str]:
    """List the applications an engine may use."""
    return ["security", "messaging", "jobrunner", "timeseries", "pipelinestore", "connection"]


@app.route(
    "GET",
    "/assets/i18n/en.json",
    ANYONE,
    choice="event ids other than PIPELINE_COMMITTED are inferred from their labels",
)
def translations(call: Call) -> Json:
    """Return the part of the translations that clients read: subscription events and actions."""
    actions = {"EMAIL": "Email", "WEBHOOKV1": "Webhook"}
    return {"notifications": {"subscriptions": {"events": EVENT_TYPES, "actions": actions}}}


def _serve_documents(name: str) -> None:
    def swagger_document(call: Call) -> Json:
        return swagger(call.hub.routes, name, call.hub.release)

    def openapi_of_app(call: Call) -> Json:
        return app_openapi(call.hub.routes, name, call.hub.release)

    swagger_document.__doc__ = f"Return the Swagger document of app {name}."
    openapi_of_app.__doc__ = f"Return the OpenAPI document of app {name}."
    choice = "made from the hub's own routes"
    app.route("GET", f"/{name}/rest/swagger.json", USER, choice=choice)(swagger_document)
    choice = "not in 3.x: clients of the 4.x line read it"
    app.route("GET", f"/{name}/rest/openapi.json", USER, choice=choice)(openapi_of_app)


for _name in DOCUMENTED_APPS:
    _serve_documents(_name)


@app.route("GET", "/openapi.json", USER, choice="not in the reference: one OpenAPI document of all endpoints")
def openapi_document(call: Call) -> Json:
    """Return the OpenAPI document of the hub."""
    return openapi(call.hub.routes, release=call.hub.release)
