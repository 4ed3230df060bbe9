"""The security app: organizations, configuration, users, groups, components, credentials."""

import json
from typing import Any

import pytest
from sqlalchemy import select
from support.hub_driver import create_organization

from psrlib.hub.store.schema import metadata

BASE = "/security/rest/v1/organization/acme"
USER = {"id": "u@acme", "organization": "acme", "name": "U", "email": "u@example.com", "roles": ["user"]}
QUIET = ("sessions", "login_audits")


def rows(driver: Any) -> dict[str, list[Any]]:
    """Return everything in the database, sessions and login audits left out."""
    with driver.app.hub.database.reading() as connection:
        return {
            table.name: sorted(str(tuple(row)) for row in connection.execute(select(table)))
            for table in metadata.sorted_tables
            if table.name not in QUIET
        }


# what is wrong, method, path, body, status, code
BAD = [
    ("taken user id", "PUT", f"{BASE}/users", USER | {"id": "admin@acme"}, 409, "APP_ISSUES_04"),
    (
        "user id of another organization",
        "PUT",
        f"{BASE}/users",
        USER | {"id": "u@beta"},
        400,
        "APP_ISSUES_03",
    ),
    ("user id with a slash", "PUT", f"{BASE}/users", USER | {"id": "a/b@acme"}, 400, "APP_ISSUES_03"),
    ("unknown role", "PUT", f"{BASE}/users", USER | {"roles": ["user", "king"]}, 400, "APP_ISSUES_03"),
    ("system role", "PUT", f"{BASE}/users", USER | {"roles": ["user", "system-admin"]}, 403, "SECURITY_02"),
    ("no base role", "PUT", f"{BASE}/users", USER | {"roles": ["org-user"]}, 400, "APP_ISSUES_03"),
    ("unknown group", "PUT", f"{BASE}/users", USER | {"groups": ["g@acme"]}, 404, "APP_ISSUES_02"),
    (
        "body of another organization",
        "PUT",
        f"{BASE}/users",
        USER | {"organization": "beta"},
        403,
        "SECURITY_02",
    ),
    ("roles of the wrong type", "PUT", f"{BASE}/users", USER | {"roles": "user"}, 400, "APP_ISSUES_03"),
    ("missing name", "PUT", f"{BASE}/users", {"id": "u@acme", "roles": ["user"]}, 400, "APP_ISSUES_03"),
    ("unknown user", "POST", f"{BASE}/user/no@acme", USER | {"id": "no@acme"}, 404, "APP_ISSUES_02"),
    ("id in body and path differ", "POST", f"{BASE}/user/admin@acme", USER, 400, "APP_ISSUES_03"),
    ("active user deleted", "DELETE", f"{BASE}/user/admin@acme", None, 400, "APP_ISSUES_03"),
    ("taken group id", "PUT", f"{BASE}/groups", {"id": "all@acme", "name": "x"}, 409, "APP_ISSUES_04"),
    (
        "unknown member",
        "PUT",
        f"{BASE}/groups",
        {"id": "g@acme", "name": "x", "users": ["no@acme"]},
        404,
        "APP_ISSUES_02",
    ),
    ("unknown configuration", "POST", f"{BASE}/configs", [{"id": "x", "value": "1"}], 400, "APP_ISSUES_03"),
    (
        "limit of the system administrator",
        "POST",
        f"{BASE}/configs",
        [{"id": "org.max.jobs", "value": "7"}],
        403,
        "SECURITY_02",
    ),
    (
        "configuration of the wrong type",
        "POST",
        f"{BASE}/configs",
        [{"id": "dpm.enable.events", "value": "perhaps"}],
        400,
        "APP_ISSUES_03",
    ),
    ("unknown component type", "PUT", f"{BASE}/components", {"componentType": "x"}, 400, "APP_ISSUES_03"),
    (
        "too many components",
        "PUT",
        f"{BASE}/components",
        {"componentType": "dc", "numberOfComponents": 10**9},
        400,
        "APP_ISSUES_03",
    ),
    (
        "organization by its own administrator",
        "PUT",
        "/security/rest/v1/organizations",
        {},
        403,
        "SECURITY_02",
    ),
    ("foreign organization", "GET", "/security/rest/v1/organization/admin/users", None, 403, "SECURITY_02"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"), [b[1:] for b in BAD], ids=[b[0] for b in BAD]
)
def test_bad_input_is_refused_and_changes_nothing(
    method: str, path: str, body: Any, status: int, code: str, lite_acme: Any
) -> None:
    """Right status, right code, one message, database as before."""
    before = rows(lite_acme.driver)
    answer = lite_acme.call(method, path, body)
    assert (answer.status, answer.code) == (status, code), answer.content
    assert len(answer.json()["ISSUES"][0]["message"]) > 10
    assert rows(lite_acme.driver) == before


def test_a_new_organization_has_its_administrator_and_the_group_of_all(acme: Any, admin: Any) -> None:
    """The administrator counts as a user and is in all@<organization>."""
    assert [u["id"] for u in acme.get(f"{BASE}/users")] == ["admin@acme"]
    assert acme.get(f"{BASE}/group/all@acme")["users"] == ["admin@acme"]
    assert {o["id"] for o in admin.get("/security/rest/v1/organizations")} == {"admin", "acme"}


def test_a_user_can_log_in_with_the_generated_password_and_change_it(acme: Any) -> None:
    """The user id is the first password; after the change only the new one holds."""
    acme.put(f"{BASE}/users", USER)
    user = acme.driver.login("u@acme")
    path = f"{BASE}/user/u@acme/updatePassword"
    wrong = user.call("POST", path, {"oldPassword": "no", "newPassword": "long enough"})
    assert wrong.status == 403
    user.post(path, {"oldPassword": "u@acme", "newPassword": "long enough"})
    login = "/security/public-rest/v1/authentication/login"
    body = json.dumps({"userName": "u@acme", "password": "u@acme"}).encode()
    assert acme.driver.raw("POST", login, {"X-Requested-By": "x"}, body).status == 401
    assert acme.driver.login("u@acme", "long enough").call("GET", "/security/rest/v1/roles").status == 200


def test_a_bootstrap_script_updates_the_administrator_and_logs_in(acme: Any, admin: Any) -> None:
    """passwordGenerated false by the system administrator keeps the initial password valid."""
    record = admin.get(f"{BASE}/user/admin@acme")
    changed = record | {"passwordGenerated": False, "passwordExpiryTime": 4_000_000_000_000}
    assert admin.post(f"{BASE}/user/admin@acme", changed)["passwordGenerated"] is False
    assert acme.driver.login("admin@acme").organization == "acme"


def test_membership_is_the_same_from_either_side(acme: Any) -> None:
    """user.groups and group.users show one relation; a deleted group leaves it."""
    acme.put(f"{BASE}/groups", {"id": "ops@acme", "name": "Ops", "roles": ["user", "jobrunner:operator"]})
    made = acme.put(f"{BASE}/users", USER | {"groups": ["all@acme", "ops@acme"]})
    assert made["groups"] == ["all@acme", "ops@acme"]
    assert acme.get(f"{BASE}/group/ops@acme")["users"] == ["u@acme"]
    assert "jobrunner:operator" in acme.driver.login("u@acme").get("/security/rest/v1/currentUser")["roles"]
    acme.call("DELETE", f"{BASE}/group/ops@acme", expect=200)
    assert acme.get(f"{BASE}/user/u@acme")["groups"] == ["all@acme"]


def test_limits_are_enforced_and_deletes_make_room(acme: Any, admin: Any) -> None:
    """The third user of two is refused; after a delete there is room again."""
    admin.post(f"{BASE}/configs", [{"id": "org.max.users", "value": "2"}])
    acme.put(f"{BASE}/users", USER)
    answer = acme.call("PUT", f"{BASE}/users", USER | {"id": "v@acme"})
    assert (answer.status, answer.code) == (403, "APP_ISSUES_05")
    acme.post(f"{BASE}/users/deactivate", ["u@acme"])
    acme.post(f"{BASE}/users/delete", ["u@acme"])
    assert acme.put(f"{BASE}/users", USER | {"id": "v@acme"})["id"] == "v@acme"


def test_the_heartbeat_interval_has_a_system_limit(acme: Any, admin: Any) -> None:
    """An organization administrator may change the interval up to the limit that the system's sets."""
    interval = [{"id": "org.engine.heartbeat.interval", "value": "300"}]
    acme.post(f"{BASE}/configs", interval)
    admin.post(f"{BASE}/configs", [{"id": "org.max.engine.heartbeat.interval", "value": "200"}])
    answer = acme.call("POST", f"{BASE}/configs", interval)
    assert (answer.status, answer.code) == (400, "APP_ISSUES_03")
    acme.post(f"{BASE}/configs", [{"id": "org.engine.heartbeat.interval", "value": "200"}])


def test_engines_over_the_limit_are_refused_at_registration(acme: Any, admin: Any) -> None:
    """A registered engine may register again; a second one of one may not."""
    admin.post(f"{BASE}/configs", [{"id": "org.max.sdcs", "value": "1"}])
    engine = acme.engine()
    engine.register()
    with pytest.raises(AssertionError, match="limit of 1 engines"):
        acme.engine()


def test_global_values_reach_organizations_until_they_save_their_own(acme: Any, admin: Any) -> None:
    """control-hub-rest.md, 2.3."""

    def events() -> str:
        return next(str(c["value"]) for c in acme.get(f"{BASE}/configs") if c["id"] == "dpm.enable.events")

    path = "/security/rest/v1/organizations/globalConfigs"
    admin.post(path, [{"id": "dpm.enable.events", "value": "true"}])
    assert events() == "true"
    acme.post(f"{BASE}/configs", [{"id": "dpm.enable.events", "value": "false"}])
    admin.post(path, [{"id": "dpm.enable.events", "value": "true"}])
    assert events() == "false"


def test_a_deactivated_component_is_refused_at_once(acme: Any) -> None:
    """Its polls get 401 until it is activated."""
    engine = acme.engine()
    acme.post(f"{BASE}/components/deactivate", [engine.id])
    with pytest.raises(AssertionError, match="SSO_01"):
        engine.poll()
    acme.post(f"{BASE}/components/activate", [engine.id])
    assert engine.poll() == []
    assert acme.call("POST", f"{BASE}/components/delete", [engine.id]).status == 400


def test_an_engine_disables_itself_with_three_calls(acme: Any) -> None:
    """Each must answer 200 (engine-protocol.md, 3.7): deactivate, delete, and the job runner's record."""
    engine = acme.engine()
    acme.post(f"{BASE}/components/deactivate", [engine.id])
    acme.post(f"{BASE}/components/delete", [engine.id])
    assert acme.get(f"{BASE}/components") == []
    acme.call("DELETE", f"/jobrunner/rest/v1/sdc/{engine.id}", expect=200)
    assert acme.get("/jobrunner/rest/v1/sdcs") == []


def test_an_engine_of_a_deleted_component_stays_in_its_organization(acme: Any, admin: Any) -> None:
    """The job runner still has its record: another organization cannot register the same id."""
    engine = acme.engine()
    acme.post(f"{BASE}/components/deactivate", [engine.id])
    acme.post(f"{BASE}/components/delete", [engine.id])
    other = create_organization(admin, "other").engine()
    other.id = engine.id
    with pytest.raises(AssertionError, match="SECURITY_58"):
        other.register()


def test_a_token_is_bound_to_the_first_engine_that_registers(acme: Any) -> None:
    """Another id with the same token is refused; the same engine may start again."""
    engine = acme.engine()
    engine.register()
    engine.id = "another"
    with pytest.raises(AssertionError, match="SECURITY_58"):
        engine.register()


def test_an_api_credential_acts_for_its_user_until_it_is_deleted(acme: Any) -> None:
    """Two headers instead of a login; survives a restart; gone after the delete."""
    made = acme.post(f"{BASE}/api-user-credentials", {"label": "sdk", "generateAuthToken": True})
    headers = {
        "X-Requested-By": "sch",
        "X-SS-App-Component-Id": made["componentId"],
        "X-SS-App-Auth-Token": made["authToken"],
    }
    path = "/security/rest/v1/currentUser"
    assert acme.driver.raw("GET", path, headers).json()["principalId"] == "admin@acme"
    acme.driver.restart()
    assert acme.driver.raw("GET", path, headers).status == 200
    assert [c["authToken"] for c in acme.get(f"{BASE}/api-user-credentials")] == [None]
    acme.call("DELETE", f"{BASE}/api-user-credentials/{made['componentId']}", expect=200)
    assert acme.driver.raw("GET", path, headers).status == 401


def test_logins_and_changes_are_audited(acme: Any) -> None:
    """Failed logins too; who changed whom."""
    acme.put(f"{BASE}/users", USER)
    with pytest.raises(AssertionError):
        acme.driver.login("u@acme", "wrong")
    logins = acme.get(f"{BASE}/user/u@acme/listLogins")
    assert [login["success"] for login in logins] == [False]
    actions = acme.get(f"{BASE}/user/u@acme/listActions")
    assert [(a["action"], a["requesterId"]) for a in actions] == [("USER_CREATE", "admin@acme")]


def test_the_action_audit_tells_what_changed_from_what_to_what(acme: Any) -> None:
    """One row per field of a user, and the members of a group."""
    acme.put(f"{BASE}/groups", {"id": "ops@acme", "name": "Ops"})
    made = acme.put(f"{BASE}/users", USER)
    change = {"roles": ["user", "org-user"], "groups": ["all@acme", "ops@acme"], "name": made["name"]}
    acme.post(f"{BASE}/user/u@acme", made | change)
    rows = [a for a in acme.get(f"{BASE}/user/u@acme/listActions") if a["action"] == "USER_UPDATE"]
    assert {(a["fieldType"], a["oldValue"], a["newValue"]) for a in rows} == {
        ("roles", json.dumps(made["roles"], separators=(",", ":")), '["user","org-user"]'),
        ("groups", '["all@acme"]', '["all@acme","ops@acme"]'),
    }
    acme.post(f"{BASE}/group/ops@acme", {"id": "ops@acme", "name": "Ops", "users": []})
    last = acme.get(f"{BASE}/users/listActions?len=1")[0]
    assert (last["action"], last["oldValue"], last["newValue"]) == ("GROUP_USER_UPDATE", '["u@acme"]', "[]")


def test_lists_page_order_and_filter(acme: Any) -> None:
    """Wrapper, offset, len, order and a filter without regard to case; booleans in Python's spelling."""
    for name in ("anna", "bert", "carl"):
        acme.put(f"{BASE}/users", USER | {"id": f"{name}@acme", "name": name.title()})
    page = acme.get(f"{BASE}/users?offset=1&len=2&order=DESC&orderBy=ID&withWrapper=True")
    assert (page["totalCount"], page["offset"], page["len"]) == (4, 1, 2)
    assert [u["id"] for u in page["data"]] == ["bert@acme", "anna@acme"]
    assert [u["id"] for u in acme.get(f"{BASE}/users?filterText=BER&len=-1")] == ["bert@acme"]
    assert len(acme.get(f"{BASE}/users?offset=3")) == 1
    assert acme.call("GET", f"{BASE}/users?len=many").status == 400
    assert acme.call("GET", f"{BASE}/users?withWrapper=perhaps").status == 400
