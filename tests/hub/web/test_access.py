"""No route forgets who calls: a walk over every endpoint with the wrong caller."""

import io
import json
import re
import zipfile
from types import SimpleNamespace
from typing import Any, get_args, get_origin

import msgspec
import pytest
from sqlalchemy import select
from support.hub_driver import Driver, create_organization, sign_up
from support.in_process import Clock

from psrlib.hub.catalog import all_routes
from psrlib.hub.store.schema import metadata
from psrlib.hub.web.call import Call
from psrlib.hub.web.routing import Route

ROUTES = all_routes()
BASES = {
    "/jobrunner/rest/v1/job/": "job",
    "/jobrunner/rest/v1/sdc/": "engine",
    "/pipelinestore/rest/v1/pipeline/": "pipeline",
    "/topology/rest/v1/topology/": "topology",
    "/connection/rest/v1/connection/": "connection",
    "/reporting/rest/v1/report/": "definition",
    "/notification/rest/v1/eventsub/": "subscription",
    "/notification/rest/v1/alerts/": "alert",
    "/scheduler/rest/v1/jobs/": "task",
    "/provisioning/rest/v1/deployment/": "deployment",
    "/provisioning/rest/v1/dpmAgent/": "agent",
    "/provisioning/rest/v1/csp/environment/": "environment",
    "/provisioning/rest/v1/csp/deployment/": "csp-deployment",
    "/sequencing/rest/v1/sequencing/": "sequence",
}


def furnish(session: Any) -> dict[str, str]:
    """Put one object of every kind into the session's organization; return their ids by kind."""
    org = session.organization
    base = f"/security/rest/v1/organization/{org}"
    user = new_user(session)
    group = session.put(f"{base}/groups", {"id": f"g@{org}", "name": "secret-group"})
    engine = session.engine()
    pipeline = session.pipeline("secret-pipeline")
    template = session.job("secret-template", pipeline, jobTemplate=True)
    job = session.job("secret-job", pipeline, rawJobTags=["secret-tag"])
    run = session.start(job)
    engine.run()
    topology = session.put("/topology/rest/v1/topologies", {"name": "secret-topology"})
    connection = session.put(
        "/connection/rest/v1/connections", {"name": "secret-connection", "connectionType": "JDBC"}
    )
    action = {"eventType": "WEBHOOKV1", "config": '{"uri": "http://127.0.0.1:9/"}'}
    event = {"eventType": "JOB_STATUS_CHANGE"}
    subscription = session.put(
        "/notification/rest/v1/eventsub/createEventSub",
        {"name": "secret-subscription", "events": [event], "externalActions": [action]},
    )
    task = session.put(
        "/scheduler/rest/v2/jobs/pageId=SchedulerJobManagePage",
        {"data": {"name": {"value": "secret-task"}, "jobId": {"value": job["id"]}}},
    )
    sla = session.put("/sla/rest/v1/dataSlas", {"label": "secret-sla", "slaDefinition": rule_about(job)})
    session.post("/sla/rest/v1/dataSlas/activateSlas", [sla["id"]])
    report_rate(engine, job)
    session.driver.tick(1)
    alert = session.get("/notification/rest/v1/alerts")[0]
    definition = session.put("/reporting/rest/v1/reports", {"name": "secret-definition"})
    deployment = session.put("/provisioning/rest/v1/deployments", {"name": "secret-deployment"})
    token = session.put(f"{base}/components", {"componentType": "provisioning-agent"})[0]["fullAuthToken"]
    body = {"authToken": token, "componentId": f"agent-{org}", "attributes": {}}
    session.driver.raw(
        "POST",
        "/security/public-rest/v1/components/registration",
        {"X-Requested-By": "agent"},
        json.dumps(body).encode(),
    )
    return {
        "org": org,
        "user": user,
        "group": group["id"],
        "engine": engine.id,
        "pipeline": pipeline["pipelineId"],
        "commit": pipeline["commitId"],
        "first": pipeline["commitId"],
        "second": pipeline["commitId"],
        "template": template["id"],
        "job": job["id"],
        "run": run["id"],
        "topology": topology["topologyId"],
        "topology-commit": topology["commitId"],
        "connection": connection["id"],
        "subscription": subscription["id"],
        "task": task["response"]["data"]["id"],
        "sla": sla["id"],
        "definition": definition["id"],
        "deployment": deployment["id"],
        "agent": f"agent-{org}",
        "alert": alert["id"],
        "resource": job["id"],
        "subject": user,
        "figure": "recordCount",
        "credential": engine.id,
    } | (furnish_4(session, job, template) if session.driver.release == 4 else {})


def new_user(session: Any) -> str:
    """Put a user into the session's organization; return its id."""
    org = session.organization
    if session.driver.release == 4:
        body = {"data": {"email": "secret-user@example.com", "role": "OPERATOR"}}
        made = session.post("/api/security/v3/org-users.invite", body)
        return f"{made['data']['schUser']}@{org}"
    body = {"id": f"u@{org}", "name": "secret-user", "roles": ["user"]}
    return str(session.put(f"/security/rest/v1/organization/{org}/users", body)["id"])


def furnish_4(session: Any, job: dict[str, Any], template: dict[str, Any]) -> dict[str, str]:
    """Put one object of every kind that release 4 has besides into the session's organization."""
    csp, sequencing = "/provisioning/rest/v1/csp", "/sequencing/rest/v1/sequencing"
    environment = session.get(f"{csp}/environments")[0]
    body = {"name": "secret-csp", "envId": environment["id"], "engineVersionId": "DC:5.10.0::RC3"}
    deployment = session.put(f"{csp}/deployments", body)
    session.call("POST", f"{csp}/deployment/{deployment['id']}/events", {"details": "secret-event"})
    sequence = session.post(sequencing, {"name": "secret-sequence"})
    steps = [{"stepNumber": 1, "jobIds": [job["id"]]}]
    sequence = session.post(f"{sequencing}/{sequence['id']}/addStepJobs", steps)
    return {
        "environment": environment["id"],
        "csp-deployment": deployment["id"],
        "sequence": sequence["id"],
        "instance": sequence["steps"][0]["jobs"][0]["id"],
        "version": "DC:5.10.0::RC3",
        "member": session.get("/api/security/v3/org-users")["data"]["content"][0]["id"],
        "executor": "DATACOLLECTOR",
    }


def rule_about(job: dict[str, Any]) -> str:
    """Return the definition of a data SLA that any throughput breaks."""
    condition = {"slaFunctionType": "MAX", "value": 0}
    return json.dumps({"slaConditions": [condition], "jobIds": [job["id"]], "alertText": "secret-alert"})


def report_rate(engine: Any, job: dict[str, Any]) -> None:
    """Send the metrics of a job that runs on the engine."""
    meters = {"pipeline.batchInputRecords.meter": {"m1_rate": 1}}
    body = json.dumps([{"metadata": {"dpm.job.id": job["id"]}, "metrics": {"meters": meters}}]).encode()
    headers = {
        "X-Requested-By": "SDC",
        "X-SS-App-Component-Id": engine.id,
        "X-SS-App-Auth-Token": engine.token,
    }
    engine.driver.raw("POST", "/timeseries/rest/v1/metrics", headers, body)


def path_of(route: Route, ids: dict[str, str]) -> str:
    parts = []
    for part in route.path.split("/"):
        name = part[1:-1] if part.startswith("{") else ""
        if name == "id":
            name = next(kind for base, kind in BASES.items() if route.path.startswith(base))
        if name == "commit" and route.app == "topology":
            name = "topology-commit"
        if name == "deployment" and ("/csp" in route.path or "/organization/deployment/" in route.path):
            name = "csp-deployment"
        parts.append(ids[name] if name else part)
    return "/".join(parts)


def value_for(kind: Any, name: str, ids: dict[str, str]) -> Any:
    """Return a value of a field's type; fields that name something get the foreign id."""
    named = {
        "pipelineId": ids["pipeline"],
        "pipelineCommitId": ids["commit"],
        "topologyId": ids["topology"],
        "topologyCommitId": ids["topology-commit"],
        "jobId": ids["job"],
        "subjectId": ids["user"],
        "resourceOwner": ids["user"],
        "agentId": ids["agent"],
        "organization": ids["org"],
        "componentType": "dc",
    }
    if name in named:
        return named[name]
    origin = get_origin(kind)
    if kind is str:
        return "changed"
    if kind is bool:
        return True
    if kind in (int, float):
        return 1
    if origin is list:
        inner = get_args(kind)[0]
        return [value_for(inner, "", ids)] if inner is not str else ["user"]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return body_of(kind, ids)
    return value_for(get_args(kind)[0], name, ids) if origin is not None and origin is not dict else {}


def body_of(struct: Any, ids: dict[str, str]) -> dict[str, Any]:
    fields = msgspec.structs.fields(struct)
    wanted = [
        f
        for f in fields
        if f.required or f.encode_name in ("topologyId", "topologyCommitId", "resourceOwner")
    ]
    body = {f.encode_name: value_for(f.type, f.encode_name, ids) for f in wanted}
    if "id" in struct.__struct_fields__ and struct.__name__ == "EventSubscriptionJson":
        body["id"] = ids["subscription"]
    if struct.__name__ == "TaskEnvelope":
        body["data"] = {"name": {"value": "changed"}, "jobId": {"value": ids["job"]}}
    return body


def empty_zip() -> bytes:
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    return buffer.getvalue()


def call_with(session: Any, route: Route, ids: dict[str, str], query: str = "") -> list[Any]:
    """Call a route with ids of somebody else, in path and body; return the answers."""
    path = path_of(route, ids) + query
    if route.signature.body is bytes:
        return [session.upload(path, empty_zip())]
    if route.signature.body is None:
        return [session.call(route.method, path)]
    if route.signature.body is str:
        return [session.call(route.method, path, ids["subscription"].encode())]
    if route.signature.body == list[str]:
        return [session.call(route.method, path, [foreign]) for foreign in sorted(set(ids.values()))]
    kind = route.signature.body
    inner = get_args(kind)[0] if get_origin(kind) is list else kind
    body: Any = {}
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
        body = body_of(inner, ids)
    return [session.call(route.method, path, [body] if get_origin(route.signature.body) is list else body)]


def belongings(driver: Any, org: str) -> dict[str, set[str]]:
    """Return every row of an organization, and every row of tables without one."""
    found: dict[str, set[str]] = {}
    with driver.app.hub.database.reading() as connection:
        for table in metadata.sorted_tables:
            statement = select(table)
            if "organization" in table.c and table.name != "login_audits":
                statement = statement.where(table.c.organization == org)
            rows = connection.execute(statement)
            if table.name in ("sessions", "task_audits", "login_audits"):
                continue
            found[table.name] = {str(tuple(row)) for row in rows}
    return found


@pytest.fixture
def two(lite: Any) -> tuple[Any, Any, dict[str, str]]:
    """Organization acme with everything in it, and the administrator of organization beta."""
    admin = lite.login("admin@admin")
    acme = create_organization(admin, "acme")
    beta = create_organization(admin, "beta")
    return acme, beta, furnish(acme)


USER_ROUTES = [route for route in ROUTES if route.access.who in ("user", "either")]


def find_leaks(session: Any, ids: dict[str, str], routes: list[Route] = USER_ROUTES) -> list[Any]:
    """Call every route for users with every id; return what shows a foreign word or an inner error."""
    leaks = []
    for route in routes:
        if "_logout" in route.path or route.path.endswith("org-users.leave"):
            continue
        for query in ("", f"?organization={ids['org']}&group={ids['group']}"):
            for answer in call_with(session, route, ids, query):
                words = b"secret-" in answer.content or b"Acme" in answer.content
                if words or answer.status >= 500:
                    leaks.append((route.method, route.path, query, answer.status, answer.content[:200]))
    return leaks


def test_the_walk_notices_forgotten_checks(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the check of objects switched off the same walk finds dozens of leaks."""
    _, beta, ids = two
    monkeypatch.setattr(Call, "may_see", lambda self, organization: True)
    assert len(find_leaks(beta, ids)) > 30


def test_a_foreign_administrator_reads_and_changes_nothing(two: Any) -> None:
    """Every route for users, with every id of another organization: no word of it, no row changed."""
    check_untouched(*two)


def check_untouched(acme: Any, beta: Any, ids: dict[str, str], routes: list[Route] = USER_ROUTES) -> None:
    """The administrator of beta reads and changes nothing of acme."""
    org, other = acme.organization, beta.organization
    before = belongings(acme.driver, org)
    assert find_leaks(beta, ids, routes) == []
    after = belongings(acme.driver, org)
    for name, rows in before.items():
        assert rows <= after[name], name
        assert not [row for row in after[name] - rows if org in row and other not in row], name


def test_every_route_that_names_a_foreign_object_in_its_path_refuses_it(two: Any) -> None:
    """403 or 404, never 200."""
    _, beta, ids = two
    check_refusals(beta, ids)


def check_refusals(beta: Any, ids: dict[str, str], routes: list[Route] = USER_ROUTES) -> None:
    """The administrator of beta is refused every object of another organization."""
    wrong = []
    for route in routes:
        if "{" not in route.path or route.signature.body is bytes:
            continue
        for answer in call_with(beta, route, ids)[:1]:
            if answer.status not in (400, 403, 404, 422):
                wrong.append((route.method, route.path, answer.status, answer.content[:200]))
    allowed = {
        "/notification/rest/v1/alerts/resource/{resource}",  # a filter: finds nothing
        "/provisioning/rest/v1/csp/engineVersion/{version}",  # everybody's
    }
    assert [w for w in wrong if w[1] not in allowed] == []


@pytest.fixture
def two_4(lite_4: Any) -> tuple[Any, Any, dict[str, str]]:
    """The same on a hub of release 4."""
    admin = lite_4.login("admin@admin")
    acme, beta = sign_up(admin, "Acme"), sign_up(admin, "Beta")
    return acme, beta, furnish(acme)


USER_ROUTES_4 = [route for route in all_routes(4) if route.access.who in ("user", "either")]


def test_a_foreign_administrator_reads_and_changes_nothing_on_release_4(two_4: Any) -> None:
    """With the ids of what that release has besides, too."""
    check_untouched(*two_4, USER_ROUTES_4)


def test_every_route_of_release_4_refuses_a_foreign_object(two_4: Any) -> None:
    """403 or 404, or 422 of the login service."""
    _, beta, ids = two_4
    check_refusals(beta, ids, USER_ROUTES_4)


def test_every_answer_to_a_get_of_release_4_is_of_the_vendors_type(two_4: Any) -> None:
    """An administrator reads the own organization; the session compares what comes."""
    acme, _, ids = two_4
    statuses = [
        acme.call("GET", path_of(route, ids)).status
        for route in USER_ROUTES_4
        if route.method == "GET" and "_logout" not in route.path
    ]
    assert statuses.count(200) > 120
    assert max(statuses) < 500


def test_without_a_credential_there_is_no_answer_on_release_4(lite_4: Any) -> None:
    """401 for every route that is not public."""
    marker = {"X-Requested-By": "test"}
    wrong = [
        (route.method, route.path)
        for route in all_routes(4)
        for headers in (marker, marker | {"X-SS-App-Component-Id": "x", "X-SS-App-Auth-Token": "y"})
        if route.access.who != "anyone"
        and lite_4.raw(route.method, re.sub(r"[{}]", "", route.path), headers).status != 401
    ]
    assert wrong == []


@pytest.fixture(scope="module")
def walker(tmp_path_factory: Any) -> Any:
    """A hub and a session of a user without any role but ``user``, shared by walks that change nothing."""
    folder = tmp_path_factory.mktemp("walk")
    driver = Driver(f"sqlite:///{folder / 'hub.db'}", Clock())
    acme = create_organization(driver.login("admin@admin"), "acme")
    ids = furnish(acme)
    yield SimpleNamespace(driver=driver, ids=ids, plain=driver.login("u@acme"), engine=acme.engine())
    driver.close()


PUBLIC = (
    "/page/",
    "/public-rest/",
    "/security/public-rest/",
    "/security/login",
    "/assets/",
    "/api/security/public/",
)


def test_without_a_session_there_is_no_answer(walker: Any) -> None:
    """401 with SSO_01 for every route that is not public."""
    for route in ROUTES:
        if route.access.who == "anyone":
            assert route.path in ("/", "/metrics") or route.path.startswith(PUBLIC), route
            continue
        path = path_of(route, dict.fromkeys(walker.ids, "x"))
        for headers in (
            {},
            {"X-SS-User-Auth-Token": "nobody|1"},
            {"Cookie": "SS-SSO-LOGIN=nobody|1"},
            {"X-SS-App-Component-Id": "x", "X-SS-App-Auth-Token": "y"},
        ):
            answer = walker.driver.raw(route.method, path, {"X-Requested-By": "test", **headers})
            assert (answer.status, answer.code) == (401, "SSO_01"), route
            assert answer.headers["WWW-Authenticate"] == "dpm", route


def test_a_rest_call_without_the_marker_header_is_refused(walker: Any) -> None:
    """X-Requested-By is needed below rest/: 401 without a session, 400 with one."""
    named = {"jobrunner": "JOBRUNNER_103", "connection": "CONNECTION_103"}
    for route in [route for route in ROUTES if "/rest/" in route.path]:
        path = path_of(route, walker.ids)
        assert walker.driver.raw(route.method, path, {}).status == 401, route
        answer = walker.driver.raw(route.method, path, {"X-SS-User-Auth-Token": walker.plain.token})
        code = named.get(route.path.split("/")[1], "APP_ISSUES_03")
        assert (answer.status, answer.code) == (400, code), route


def test_a_user_without_the_role_is_refused(walker: Any) -> None:
    """403 for every route that needs a role, before the body is looked at."""
    for route in [route for route in ROUTES if route.access.roles or route.access.system]:
        answer = walker.plain.call(route.method, path_of(route, walker.ids), b"not json")
        assert answer.status == 403, (route, answer.content)


def test_users_do_not_pass_for_engines(walker: Any) -> None:
    """401 for a user's session where an engine's token is needed."""
    for route in [route for route in ROUTES if route.access.who == "component"]:
        assert walker.plain.call(route.method, path_of(route, walker.ids)).status == 401, route


def test_engines_do_not_pass_for_users(walker: Any) -> None:
    """403 for an engine's token where a user is needed."""
    headers = {
        "X-Requested-By": "SDC",
        "X-SS-App-Component-Id": walker.engine.id,
        "X-SS-App-Auth-Token": walker.engine.token,
    }
    for route in [route for route in ROUTES if route.access.who == "user"]:
        assert walker.driver.raw(route.method, path_of(route, walker.ids), headers).status == 403, route


def test_engines_see_only_their_own_events(two: Any) -> None:
    """Another engine of the organization, and one of another, are handed nothing."""
    acme, beta, _ = two
    mine, other, foreign = acme.engine(labels=("x",)), acme.engine(labels=("y",)), beta.engine(labels=("x",))
    acme.start(acme.job("only x", labels=["x"]))
    assert other.poll() == []
    assert foreign.poll() == []
    assert len(mine.poll()) == 2


def test_an_engine_cannot_ack_or_report_for_another(two: Any) -> None:
    """Acks and statuses count for the caller's own pipelines only."""
    acme, beta, _ = two
    mine, foreign = acme.engine(labels=("x",)), beta.engine()
    job = acme.job("only x", labels=["x"])
    acme.start(job)
    handed = mine.poll()
    name = json.loads(handed[0]["payload"])["name"]
    foreign.send([foreign.ack(e, "ERROR", "no") for e in handed])
    foreign.report((name, "START_ERROR"))
    assert acme.status(job)["status"] == "ACTIVATING"
    assert acme.status(job)["ackTrackers"] == []


def test_logging_out_revokes_the_token(lite_acme: Any) -> None:
    """The session is gone from memory and database."""
    other = lite_acme.driver.login("admin@acme")
    other.call("GET", "/security/_logout", expect=200)
    assert other.call("GET", "/security/rest/v1/currentUser").status == 401
    lite_acme.driver.restart()
    assert other.call("GET", "/security/rest/v1/currentUser").status == 401
    assert lite_acme.call("GET", "/security/rest/v1/currentUser").status == 200


def test_a_session_ends_after_24_hours(lite_acme: Any) -> None:
    """Expired sessions are refused, also before the tick that removes them."""
    lite_acme.driver.clock.advance(24 * 3600 - 1)
    assert lite_acme.call("GET", "/security/rest/v1/currentUser").status == 200
    lite_acme.driver.clock.advance(2)
    assert lite_acme.call("GET", "/security/rest/v1/currentUser").status == 401
    lite_acme.driver.tick()
    assert lite_acme.token not in str(lite_acme.driver.app.hub.callers.sessions)


def test_neither_tokens_nor_passwords_are_stored(lite_acme: Any, tmp_path: Any) -> None:
    """The database file holds digests only."""
    engine = lite_acme.engine()
    path = "/security/rest/v1/organization/acme/user/admin@acme/updatePassword"
    lite_acme.post(path, {"oldPassword": "admin@acme", "newPassword": "correct horse battery"})
    lite_acme.driver.app.hub.database.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("hub.db*"))
    for secret in (lite_acme.token, engine.token, "correct horse battery"):
        assert secret.encode() not in stored
    assert b"$argon2id$" in stored


def test_unknown_user_and_wrong_password_get_the_same_answer(lite: Any) -> None:
    """Nothing in status or body tells whether the user exists."""
    answers = [
        lite.raw(
            "POST",
            "/security/public-rest/v1/authentication/login",
            {"X-Requested-By": "x"},
            json.dumps({"userName": user, "password": "wrong"}).encode(),
        )
        for user in ("admin@admin", "nobody@nowhere")
    ]
    assert answers[0] == answers[1]
    assert answers[0].status == 401


def test_a_deactivated_user_is_out_at_once(lite_acme: Any) -> None:
    """Deactivation ends the sessions and refuses the login."""
    base = "/security/rest/v1/organization/acme"
    lite_acme.put(f"{base}/users", {"id": "u@acme", "name": "U", "roles": ["user"]})
    user = lite_acme.driver.login("u@acme")
    lite_acme.post(f"{base}/users/deactivate", ["u@acme"])
    assert user.call("GET", "/security/rest/v1/currentUser").status == 401
    body = json.dumps({"userName": "u@acme", "password": "u@acme"}).encode()
    path = "/security/public-rest/v1/authentication/login"
    assert lite_acme.driver.raw("POST", path, {"X-Requested-By": "x"}, body).status == 401


def test_permissions_are_enforced_when_the_organization_says_so(lite_acme: Any) -> None:
    """READ and EXECUTE on a job come from its ACL once dpm.enforce.permissions is true."""
    base = "/security/rest/v1/organization/acme"
    roles = ["user", "org-user", "jobrunner:operator"]
    lite_acme.put(f"{base}/users", {"id": "u@acme", "name": "U", "roles": roles})
    user, job = lite_acme.driver.login("u@acme"), lite_acme.job()
    path = f"/jobrunner/rest/v1/job/{job['id']}"
    assert user.call("GET", path).status == 200
    lite_acme.post(f"{base}/configs", [{"id": "dpm.enforce.permissions", "value": True}])
    assert user.call("GET", path).status == 403
    entry = {"subjectId": "all@acme", "subjectType": "GROUP", "actions": ["READ"]}
    lite_acme.post(f"{path}/acl", {"permissions": [entry]})
    assert user.call("GET", path).status == 200
    assert user.call("POST", f"{path}/start").status == 403
    entry["actions"] = ["READ", "EXECUTE"]
    lite_acme.post(f"{path}/permissions/all@acme", entry)
    assert user.call("POST", f"{path}/start").status == 200
