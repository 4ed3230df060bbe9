"""Release 4: environments, deployments, engine versions and tokens of the self-managed kind."""

from typing import Any

import pytest
from support.fake_engine import FakeEngine
from support.hub_driver import Credential

CSP = "/provisioning/rest/v1/csp"
VERSION = "DC:5.10.0::RC3"


def environment(caller: Credential) -> dict[str, Any]:
    """Return the environment that every organization has."""
    return dict(caller.get(f"{CSP}/environments?type=SELF&stateDisplayLabel=ACTIVE")[0])


def deployment(caller: Credential, name: str = "Orders") -> dict[str, Any]:
    """Create a deployment, complete it and start it."""
    body = {"name": name, "type": "SELF", "envId": environment(caller)["id"], "engineType": "DC"}
    made = caller.put(f"{CSP}/deployments", body | {"engineVersionId": VERSION})
    made |= {"installType": "DOCKER"}
    made["engineConfiguration"] |= {"labels": ["orders"], "stageLibs": ["basic"]}
    caller.post(f"{CSP}/deployment/{made['id']}?complete=true&processIfEnabled=true", made)
    caller.post(f"{CSP}/deployments/startDeployments", [made["id"]])
    return dict(caller.get(f"{CSP}/deployment/{made['id']}"))


@pytest.fixture(autouse=True)
def later(platform: Credential) -> None:
    """What came with the organization is active."""
    platform.driver.clock.advance(1)


def test_an_organization_has_an_environment(platform: Credential) -> None:
    """Self-managed and active, the administrator's."""
    found = environment(platform)
    assert (found["state"], found["status"], found["creator"]) == ("ENABLED", "OK", platform.user)
    acl = platform.get(f"{CSP}/environment/{found['id']}/acl")
    assert (acl["resourceType"], acl["resourceOwner"]) == ("CSP_ENVIRONMENT", platform.user)


def test_an_environment_goes_through_its_states(platform: Credential) -> None:
    """By either word for each change, and a change takes a moment."""
    body = {"name": "Own", "type": "SELF", "rawEnvironmentTags": ["a/b"]}
    made = platform.put(f"{CSP}/environments", body)
    path = f"{CSP}/environment/{made['id']}"
    assert made["stateDisplayLabel"] == "SETUP_INCOMPLETE"
    assert platform.call("POST", f"{path}/activate").status == 400
    assert platform.post(f"{path}?complete=true", made)["state"] == "DISABLED"
    platform.driver.clock.advance(1)
    words = (("activate", "ACTIVATING", "ACTIVE"), ("disable", "DEACTIVATING", "DEACTIVATED"))
    for word, during, after in words:
        assert platform.post(f"{path}/{word}")["stateDisplayLabel"] == during
        assert platform.get(path)["status"] == "PROCESSING"
        platform.driver.clock.advance(1)
        assert (platform.get(path)["status"], platform.get(path)["stateDisplayLabel"]) == ("OK", after)
        listed = platform.get(f"{CSP}/environments?stateDisplayLabel={after}&filterText=Own")
        assert [each["id"] for each in listed] == [made["id"]]
    assert [tag["tag"] for tag in platform.get(f"{CSP}/environments/tags")] == ["a", "a/b"]
    platform.call("DELETE", path)
    assert platform.call("GET", path).status == 404


def test_clouds_are_not_served(platform: Credential) -> None:
    """Neither environments nor deployments; the refusal names the type."""
    answer = platform.call("PUT", f"{CSP}/environments", {"name": "x", "type": "AWS"})
    assert answer.status == 501
    assert "AWS" in answer.json()["ISSUES"][0]["message"]
    body = {"name": "x", "type": "KUBERNETES", "envId": "e"}
    assert platform.call("PUT", f"{CSP}/deployments", body).status == 501


def test_a_deployment_needs_an_active_environment(platform: Credential) -> None:
    """And a version that there is; its name is its own."""
    own = platform.put(f"{CSP}/environments?complete=true", {"name": "Own", "type": "SELF"})
    body = {"name": "d", "type": "SELF", "envId": own["id"], "engineVersionId": VERSION}
    assert platform.call("PUT", f"{CSP}/deployments", body).status == 400
    body["envId"] = environment(platform)["id"]
    assert platform.call("PUT", f"{CSP}/deployments", body | {"engineVersionId": "DC:1::"}).status == 404
    platform.put(f"{CSP}/deployments", body)
    assert platform.call("PUT", f"{CSP}/deployments", body).status == 409


def test_a_deployment_is_completed_and_started(platform: Credential) -> None:
    """Its configuration is as it was sent, lists leave it out; what is active is not deleted."""
    made = deployment(platform)
    assert made["stateDisplayLabel"] == "ACTIVATING"
    platform.driver.clock.advance(1)
    path = f"{CSP}/deployment/{made['id']}"
    assert platform.get(path)["stateDisplayLabel"] == "ACTIVE"
    configuration = platform.get(f"{path}/engineConfigs")
    assert (configuration["labels"], configuration["maxCpuLoad"]) == (["orders"], 80.0)
    assert configuration["engineVersion"] == "5.10.0"
    (listed,) = platform.get(f"{CSP}/deployments?engineType=DC")
    assert (listed["engineConfiguration"], listed["installType"]) == (None, "DOCKER")
    assert platform.post(f"{CSP}/deployments/acls", [made["id"]]) == [platform.get(f"{path}/acl")]
    kept = platform.post(path, listed | {"rawDeploymentTags": ["t"]})
    assert kept["engineConfiguration"]["labels"] == ["orders"]
    assert platform.call("POST", f"{CSP}/deployments/deleteDeployments", [made["id"]]).status == 400
    assert platform.get(f"{path}/canDelete") is False
    assert platform.call("POST", f"{CSP}/environment/{made['environment']}/deactivate").status == 400
    platform.call("POST", f"{CSP}/deployments/deleteDeployments?stop=true", [made["id"]])
    assert platform.call("GET", path).status == 404


def test_a_locked_deployment_stays_as_it_is(platform: Credential) -> None:
    """Until it is unlocked."""
    made = deployment(platform)
    path = f"{CSP}/deployment/{made['id']}"
    platform.call("POST", f"{path}/lock?reference=release")
    assert platform.get(path)["lockReference"] == "release"
    assert platform.call("POST", path, made).status == 400
    platform.call("POST", f"{path}/unlock")
    assert platform.call("POST", path, made).status == 200


def test_a_copy_has_what_was_told_otherwise(platform: Credential) -> None:
    """The rest is the original's."""
    made = deployment(platform)
    body = {"name": "Copy", "engineLabels": ["copied"]}
    copy = platform.post(f"{CSP}/deployment/{made['id']}/clone", body)["deployment"]
    assert (copy["name"], copy["state"], copy["installType"]) == ("Copy", "DISABLED", "DOCKER")
    assert copy["engineConfiguration"]["labels"] == ["copied"]
    assert copy["engineConfiguration"]["stageLibs"] == ["basic"]


def test_an_install_command_has_the_form_of_a_real_one(platform: Credential) -> None:
    """Address, deployment and a token of three parts, the last one empty."""
    made = deployment(platform)
    path = f"{CSP}/deployment/self/{made['id']}/installCommand"
    command = platform.call("GET", path).content.decode()
    assert command.startswith("docker run -d -e STREAMSETS_DEPLOYMENT_SCH_URL=http://hub.test")
    token = command.split("STREAMSETS_DEPLOYMENT_TOKEN=")[1].split()[0]
    assert (token.count("."), token[-1]) == (2, ".")
    tarball = platform.call("GET", f"{path}?installType=TARBALL&installMechanism=BACKGROUND").content
    assert b"--no-prompt --background" in tarball


def test_an_engine_with_a_deployments_token_is_the_deployments(platform: Credential) -> None:
    """When it reports it; two ways lead to a token."""
    made = deployment(platform)
    base = f"/security/rest/v1/organization/deployment/{platform.organization}/{made['id']}"
    tokens = [platform.post(f"{CSP}/deployment/{made['id']}/engineToken")["fullAuthToken"]]
    tokens.append(platform.post(f"{base}/engineToken?type=dc")["fullAuthToken"])
    engines = [FakeEngine(platform.driver, token, "dc", ("orders",)) for token in tokens]
    for engine in engines:
        engine.register()
    engines[0].announce(cspDeploymentId=made["id"])
    engines[1].announce()
    path = f"/jobrunner/rest/v1/sdcs/cspDeployment/{made['id']}"
    (found,) = platform.get(path)
    assert (found["id"], found["cspDeploymentId"]) == (engines[0].id, made["id"])


def test_engine_versions_are_listed_by_type(platform: Credential) -> None:
    """With the configuration that a deployment copies."""
    found = platform.get(f"{CSP}/engineVersions?engineType=DC&disabledFilter=ONLY_ALLOWED")
    assert {each["engineType"] for each in found} == {"DC"}
    assert VERSION in [each["id"] for each in found]
    assert platform.get(f"{CSP}/engineVersions?withTotalCount=true")["totalCount"] > len(found)
    assert platform.get(f"{CSP}/engineVersion/{VERSION}")["supportedJavaVersions"] == "8,17"


def test_the_document_tells_what_a_self_managed_deployment_has_besides(platform: Credential) -> None:
    """In the form that the vendor's SDK reads."""
    schemas = platform.get("/provisioning/rest/openapi.json")["components"]["schemas"]
    assert list(schemas["SelfManagedCspDeploymentJson"]["allOf"][1]["properties"]) == ["installType"]
    assert "installType" not in schemas["CspDeploymentJson"]["properties"]
