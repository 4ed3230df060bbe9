"""Documents made from the route table: swagger per app, one OpenAPI document, the documentation page."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from psrlib.hub.web.release import Release
from psrlib.hub.web.releases import RELEASES
from psrlib.hub.web.routing import App, Route

INTRODUCTION = Path(__file__).with_name("introduction.md")
SWAGGER_REF = "#/definitions/{name}"
OPENAPI_REF = "#/components/schemas/{name}"
KINDS = {"text": "string", "texts": "string", "integer": "integer", "boolean": "boolean"}
ISSUE = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
}
ISSUES = {
    "type": "object",
    "required": ["ISSUES"],
    "properties": {"ISSUES": {"type": "array", "items": ISSUE}},
}
WHO = {"anyone": "anyone", "user": "users", "component": "engines", "either": "users and engines"}


def structs_of(routes: Iterable[Route]) -> list[Any]:
    """Return the record types in bodies and answers of routes, each once."""
    found: dict[str, Any] = {}
    for route in routes:
        for kind in (route.signature.body, route.signature.returns):
            found.update({record.__name__: record for record in _records_in(kind)})
    return [found[name] for name in sorted(found)]


def _records_in(kind: Any) -> list[Any]:
    """Return the record types a type is made of: those in lists, pages and unions too."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind, *_records_in(getattr(kind, "EXTENDS", None))]
    return [record for part in get_args(kind) for record in _records_in(part)]


def of_app(routes: Iterable[Route], name: str) -> list[Route]:
    """Return the routes whose path belongs to an app."""
    return [route for route in routes if route.path.startswith(f"/{name}/")]


def swagger(routes: Iterable[Route], name: str, release: Release = RELEASES[3]) -> dict[str, Any]:
    """Return the Swagger 2 document of one app, as client SDKs read it at start.

    They take ``definitions.<Name>.properties`` as the list of a record's fields, and look for paths.
    """
    mine = of_app(routes, name)
    _, definitions = msgspec.json.schema_components(structs_of(mine), ref_template=SWAGGER_REF)
    prefix = f"/{name}/rest"
    paths: dict[str, Any] = {}
    for route in mine:
        paths.setdefault(route.path.removeprefix(prefix), {})[route.method.lower()] = {
            "summary": route.summary,
            "responses": {str(route.status): {"description": "done"}},
        }
    return {
        "swagger": "2.0",
        "info": {"title": name, "version": release.version},
        "basePath": prefix,
        "paths": paths,
        "definitions": release.schemas(definitions),
    }


def app_openapi(routes: Iterable[Route], name: str, release: Release = RELEASES[3]) -> dict[str, Any]:
    """Return the OpenAPI document of one app: clients of the 4.x line read its components.schemas."""
    return openapi(of_app(routes, name), name, release)


def openapi(
    routes: Iterable[Route], title: str = "Embedded Control Hub", release: Release = RELEASES[3]
) -> dict[str, Any]:
    """Return the OpenAPI 3 document of all routes."""
    listed = list(routes)
    found = structs_of(listed)
    _, schemas = msgspec.json.schema_components(found, ref_template=OPENAPI_REF)
    schemas = _extended(release.schemas(schemas), found) | {"Issues": ISSUES}
    paths: dict[str, Any] = {}
    for route in listed:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": release.version},
        "security": [{"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "header", "name": "X-SS-User-Auth-Token"},
                "component": {"type": "apiKey", "in": "header", "name": "X-SS-App-Auth-Token"},
            },
        },
    }


def _extended(schemas: dict[str, Any], records: list[Any]) -> dict[str, Any]:
    """Return the schemas, those of records that extend another one in the form that clients read."""
    for record in records:
        if base := getattr(record, "EXTENDS", None):
            whole, part = schemas[record.__name__]["properties"], schemas[base.__name__]["properties"]
            own = {name: whole[name] for name in whole if name not in part}
            both = [{"$ref": OPENAPI_REF.format(name=base.__name__)}, {"type": "object", "properties": own}]
            schemas[record.__name__] = {"title": record.__name__, "allOf": both}
    return schemas


def _operation(route: Route) -> dict[str, Any]:
    refusal = {
        "description": "refused",
        "content": {"application/json": {"schema": {"$ref": OPENAPI_REF.format(name="Issues")}}},
    }
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__module__.rpartition('.')[2]}.{route.method}.{route.path}",
        "tags": [route.app],
        "summary": route.summary,
        "parameters": [
            {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for part in route.segments
            if part.startswith("{")
        ]
        + [
            {"name": query.name, "in": "query", "schema": {"type": KINDS[query.kind]}}
            for query in route.signature.parameters
        ],
        "responses": {str(route.status): {"description": "done"}, "default": refusal},
    }
    if route.access.who == "anyone":
        operation["security"] = []
    if route.access.who == "component":
        operation["security"] = [{"component": []}]
    if route.signature.body is not None:
        operation["requestBody"] = {"content": _content(route.signature.body)}
    return operation


def _content(body: Any) -> dict[str, Any]:
    if body is bytes:
        file = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        return {"multipart/form-data": {"schema": file}}
    if body is str:
        return {"text/plain": {"schema": {"type": "string"}}}
    schemas, _ = msgspec.json.schema_components([body], ref_template=OPENAPI_REF)
    return {"application/json": {"schema": schemas[0]}}


def body_words(body: Any) -> str:
    """Return what a route's body is, in words.

    Examples
    --------
    >>> body_words(list[str]), body_words(None), body_words(bytes)
    ('list of str', '', 'multipart, part file')
    """
    if body is None:
        return ""
    if body is bytes:
        return "multipart, part file"
    if get_origin(body) is list:
        return f"list of {body_words(get_args(body)[0])}"
    return getattr(body, "__name__", str(body)) if get_origin(body) is None else "JSON object"


def access_words(route: Route) -> str:
    """Return who may call a route, in words."""
    if route.access.system:
        return "system administrator"
    if route.access.roles:
        return " or ".join(f"`{role}`" for role in route.access.roles)
    return WHO[route.access.who]


def documentation(apps: Iterable[App], not_served: Iterable[tuple[str, str, str, int]]) -> str:
    """Return docs/embedded-hub.md: every endpoint, served or not, and every choice made.

    Parameters
    ----------
    apps : iterable of App
        What is served.
    not_served : iterable of (method, path, reason, release)
        Endpoints the reference names and the hub of a release (0: of every one) answers with 501.
    """
    lines = [INTRODUCTION.read_text(encoding="utf-8")]
    by_name: dict[str, list[Route]] = {}
    for app in apps:
        for route in app.routes:
            name = route.segments[0] if route.app == "acl" else route.app
            by_name.setdefault(name, []).append(route)
    n_routes = {n: sum(r.release in (0, n) for found in by_name.values() for r in found) for n in RELEASES}
    counts = " and ".join(f"{n} by a hub of release {number}" for number, n in n_routes.items())
    lines.append(f"Endpoints are served: {counts}.\n")
    for name, routes in by_name.items():
        lines.append(f"## {name}\n")
        lines.append(
            "| method | path | release | who | body | what it does | choice where the reference is silent |"
        )
        lines.append("|---|---|---|---|---|---|---|")
        for r in routes:
            words = (
                f"`{r.path}`",
                _only(r.release),
                access_words(r),
                body_words(r.signature.body),
                r.summary,
                r.choice,
            )
            lines.append(f"| {r.method} | " + " | ".join(word.replace("|", "\\|") for word in words) + " |")
        lines.append("")
    lines += ["## Not served\n", "Answered with 501 and the path's name, as every unknown path is.\n"]
    lines += ["| method | path | release | reason |", "|---|---|---|---|"]
    lines += [
        f"| {method} | `{path}` | {_only(release)} | {reason} |"
        for method, path, reason, release in not_served
    ]
    return "\n".join(lines) + "\n"


def _only(release: int) -> str:
    return f"{release} only" if release else ""
