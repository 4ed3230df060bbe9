"""Documents made from the route table."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from psrlib.hub.catalog import all_routes, hub_documentation, not_served

PAGE = Path(__file__).parents[3] / "docs" / "embedded-hub.md"
SDK_DEFINITIONS = {
    "jobrunner": {
        "JobJson",
        "NewJobJson",
        "DuplicateJobJson",
        "JobTemplateCreationInfoJson",
        "PermissionJson",
    },
    "pipelinestore": {"PipelineJson", "DuplicatePipelineJson"},
    "security": {"UserJson", "GroupJson", "NewOrganizationJson", "PasswordsJson"},
    "topology": {"TopologyJson"},
    "notification": {"EventSubscriptionJson"},
    "reporting": {"ReportDefinitionJson"},
    "sla": {"DataSlaJson"},
    "connection": {"ConnectionJson"},
}


def test_the_documentation_is_up_to_date() -> None:
    """docs/embedded-hub.md is what ``psr hub document`` writes."""
    assert PAGE.read_text() == hub_documentation(), "run: psr hub document -o docs/embedded-hub.md"


def test_the_documentation_names_every_route_once() -> None:
    """Served and not served: no endpoint is missing and none is twice."""
    text = hub_documentation()
    for route in [*all_routes(3), *all_routes(4)]:
        release = f"{route.release} only" if route.release else ""
        row = f"| {route.method} | `{route.path}` | {release} |"
        assert text.count(row) == 1, row


def test_every_route_says_what_it_does() -> None:
    """The first line of the handler's docstring becomes the documentation."""
    assert [route.path for route in [*all_routes(3), *all_routes(4)] if not route.summary] == []


@pytest.mark.parametrize("name", sorted(SDK_DEFINITIONS))
def test_swagger_defines_the_records_clients_look_up(name: str, lite_acme: Any) -> None:
    """Each definition lists its properties: clients take them as a template (control-hub-rest.md, 9.1)."""
    document = lite_acme.get(f"/{name}/rest/swagger.json")
    for record in SDK_DEFINITIONS[name]:
        assert document["definitions"][record]["properties"], record
    later = lite_acme.get(f"/{name}/rest/openapi.json")
    assert SDK_DEFINITIONS[name] <= set(later["components"]["schemas"])


def test_swagger_of_jobrunner_lists_the_second_version_of_job_deletion(lite_acme: Any) -> None:
    """The SDK chooses its call by this path."""
    assert "/v2/job/{job}" in lite_acme.get("/jobrunner/rest/swagger.json")["paths"]


def test_new_jobs_fit_their_own_schema(lite_acme: Any) -> None:
    """The published schema of NewJobJson takes what a 3.x script sends, and what the hub returns."""
    document = lite_acme.get("/jobrunner/rest/openapi.json")
    schema = {"$ref": "#/components/schemas/NewJobJson", "components": document["components"]}
    body = {
        "name": "n",
        "description": "d",
        "pipelineName": "p",
        "pipelineId": "i",
        "pipelineCommitId": "c",
        "rulesId": "r",
        "pipelineCommitLabel": "v1",
        "labels": ["all"],
        "statsRefreshInterval": 60000,
        "numInstances": 1,
        "migrateOffsets": True,
        "edge": False,
    }
    jsonschema.validate(body, schema)
    jsonschema.validate(lite_acme.job(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body | {"labels": "all"}, schema)


def test_unknown_paths_are_501_and_named(lite_acme: Any) -> None:
    """The refusal names method and path; a known path with another method lists what there is."""
    for method, path in not_served():
        if "..." not in path:
            answer = lite_acme.call(method, re.sub(r"[{}]", "", path))
            assert (answer.status, answer.code) == (501, "APP_ISSUES_06")
            assert path.split("{")[0] in answer.json()["ISSUES"][0]["message"]
    answer = lite_acme.call("DELETE", "/security/rest/v1/roles")
    assert "the path has GET" in answer.json()["ISSUES"][0]["message"]


def test_the_openapi_document_is_plain_json(lite_acme: Any) -> None:
    """It round-trips and has one operation per route."""
    document = lite_acme.get("/openapi.json")
    assert json.loads(json.dumps(document)) == document
    assert sum(len(methods) for methods in document["paths"].values()) == len(all_routes())
