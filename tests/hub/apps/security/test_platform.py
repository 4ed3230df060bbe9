"""Release 4: ids made by the hub, no passwords, users by way of the login service."""

from uuid import UUID

from support.hub_driver import Credential, new_credential

INVITE = "/api/security/v3/org-users.invite"
ORG_USERS = "/api/security/v3/org-users"


def invite(caller: Credential, email: str = "jane@example.com", role: str = "OPERATOR") -> str:
    """Return the hub's id of an invited user."""
    made = caller.post(INVITE, {"data": {"email": email, "role": role}, "version": 2})["data"]
    return f"{made['schUser']}@{caller.organization}"


def member(caller: Credential, user: str) -> dict[str, object]:
    """Return a user as the login service knows it."""
    found = caller.get(f"{ORG_USERS}?search=schUser=={user.split('@')[0]}")["data"]["content"]
    assert len(found) == 1
    return dict(found[0])


def test_organizations_and_users_have_ids_of_the_hub(platform: Credential) -> None:
    """Whatever the body says."""
    assert UUID(platform.organization).version == 1
    assert UUID(platform.user.split("@")[0]).version == 4
    organization = platform.get(f"/security/rest/v1/organization/{platform.organization}")
    assert (organization["name"], organization["primaryAdminId"]) == ("acme", platform.user)


def test_nobody_of_an_organization_has_a_password(platform: Credential) -> None:
    """Neither the generated one nor a way to set another."""
    login = {"userName": platform.user, "password": platform.user}
    refused = platform.call("POST", "/security/public-rest/v1/authentication/login", login)
    assert refused.status == 401
    base = f"/security/rest/v1/organization/{platform.organization}"
    gone = [
        ("PUT", f"{base}/users"),
        ("DELETE", f"{base}/user/{platform.user}"),
        ("POST", f"{base}/user/{platform.user}/updatePassword"),
        ("POST", f"{base}/users/activate"),
        ("POST", f"{base}/users/deactivate"),
        ("POST", f"{base}/users/delete"),
    ]
    assert [platform.call(method, path, {}).status for method, path in gone] == [501] * 6


def test_an_invited_user_is_there_at_once(platform: Credential) -> None:
    """With a uuid, recognised by its mail address; roles and groups are set by an update."""
    user = invite(platform)
    path = f"/security/rest/v1/organization/{platform.organization}/user/{user}"
    record = platform.get(path)
    assert (record["email"], record["active"]) == ("jane@example.com", True)
    assert "csp:deployment-manager" in record["roles"]
    assert platform.post(path, record | {"roles": ["user"]})["roles"] == ["user"]


def test_the_login_service_refuses_in_its_own_words(platform: Credential) -> None:
    """422 and another envelope than the hub's."""
    invite(platform)
    for body in ({"email": "jane@example.com", "role": "OPERATOR"}, {"email": "x", "role": "OPERATOR"}):
        refused = platform.call("POST", INVITE, {"data": body, "version": 2})
        assert refused.status == 422
        assert refused.json()["status"] == 422
        assert {"code", "message"} == set(refused.json()["errors"][0])


def test_a_user_is_deactivated_before_it_is_deleted(platform: Credential) -> None:
    """Its API credential is refused from then on."""
    user = invite(platform)
    known = member(platform, user)
    jane = new_credential(platform, user)
    assert jane.call("GET", "/security/rest/v1/currentUser").status == 200
    body = {"data": [known["id"]], "version": 2}
    assert platform.call("POST", f"{ORG_USERS}.delete", body).status == 422
    platform.post(f"{ORG_USERS}.deactivate", body)
    assert member(platform, user)["active"] is False
    assert jane.call("GET", "/security/rest/v1/currentUser").status == 401
    platform.post(f"{ORG_USERS}.activate", body)
    platform.post(f"{ORG_USERS}.deactivate", body)
    platform.post(f"{ORG_USERS}.delete", body)
    path = f"/security/rest/v1/organization/{platform.organization}/user/{user}"
    assert platform.call("GET", path).status == 404


def test_an_administrator_has_both_roles(platform: Credential) -> None:
    """ADMINISTRATOR at the login service is org-admin at the hub."""
    user = invite(platform)
    path = f"/security/rest/v1/organization/{platform.organization}/user/{user}"
    for role, is_admin in (("ADMINISTRATOR", True), ("OPERATOR", False)):
        known = member(platform, user)
        platform.post(f"{ORG_USERS}/{known['id']}", {"data": known | {"role": role}, "version": 2})
        assert member(platform, user)["role"] == role
        assert ("org-admin" in platform.get(path)["roles"]) is is_admin


def test_ids_of_the_login_service_are_its_own(platform: Credential) -> None:
    """A hub's id is not taken for one."""
    user = invite(platform)
    body = {"data": [user.split("@")[0]], "version": 2}
    assert platform.call("POST", f"{ORG_USERS}.deactivate", body).status == 422


def test_a_user_has_ten_api_credentials_at_most(platform: Credential) -> None:
    """The eleventh is refused."""
    for _ in range(9):
        new_credential(platform, platform.user)
    path = f"/security/rest/v1/organization/{platform.organization}/api-user-credentials"
    refused = platform.call("POST", path, {"label": "eleventh", "generateAuthToken": True})
    assert refused.status == 403


def test_a_system_credential_makes_none_for_other_organizations(platform: Credential) -> None:
    """What is not known of a real hub is not allowed; the sign-up has a session."""
    system = new_credential(platform.driver.login("admin@admin"), "admin@admin")
    path = f"/security/rest/v1/organization/{platform.organization}/api-user-credentials"
    assert system.call("POST", path, {"label": "x", "userId": platform.user}).status == 403


def test_a_configuration_comes_with_rules_for_addresses(platform: Credential) -> None:
    """They are kept; entries say what an administrator may change."""
    path = f"/security/rest/v1/organizationConfig/{platform.organization}"
    found = platform.get(path)
    assert found["ipAuthRules"] == {"enabled": False, "rules": []}
    events = next(entry for entry in found["configs"] if entry["id"] == "dpm.enable.events")
    assert (events["orgModifiable"], events["defaultValue"]) == (True, "false")
    rule = {"address": "10.0.0.0", "bitMask": 8, "ruleType": "IPV4_ALLOW", "comment": None}
    body = {"configs": [events | {"value": "true"}], "ipAuthRules": {"enabled": True, "rules": [rule]}}
    changed = platform.post(path, body)
    assert changed["ipAuthRules"] == body["ipAuthRules"]
    assert {"dpm.enable.events": "true"}.items() <= {e["id"]: e["value"] for e in changed["configs"]}.items()
