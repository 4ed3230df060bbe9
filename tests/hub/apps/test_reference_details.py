"""Details of answers that clients of a real hub rely on: error codes, filters, pages, series, schemas."""

import json
from typing import Any

import pytest
from support.hub_driver import ROLES

STORE = "/pipelinestore/rest/v1"

# call, status, code: the vendor's SDK turns JOBRUNNER and CONNECTION codes into errors of their own
REFUSALS = [
    ("GET", "/jobrunner/rest/v1/job/none:acme", None, 404, "JOBRUNNER_102"),
    ("PUT", "/jobrunner/rest/v1/jobs", {"name": "x"}, 400, "JOBRUNNER_103"),
    ("GET", "/connection/rest/v1/connection/none:acme", None, 404, "CONNECTION_102"),
    ("GET", f"{STORE}/pipelineCommit/none:acme", None, 404, "PIPELINE_STORE_09"),
    ("GET", f"{STORE}/pipeline/none:acme/latest", None, 404, "APP_ISSUES_02"),
    ("GET", "/jobrunner/rest/v1/nothing/here", None, 501, "APP_ISSUES_06"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), REFUSALS, ids=[r[1] for r in REFUSALS])
def test_a_refusal_carries_the_apps_name_where_clients_look_for_it(
    method: str, path: str, body: Any, status: int, code: str, lite_acme: Any
) -> None:
    """General codes become JOBRUNNER_1nn and CONNECTION_1nn in these apps."""
    answer = lite_acme.call(method, path, body)
    assert (answer.status, answer.code) == (status, code)


def test_sessions_and_roles_are_refused_with_the_same_code_in_every_app(lite_acme: Any) -> None:
    """SSO_01 and SECURITY_02 are not the app's."""
    path = "/jobrunner/rest/v1/jobs"
    assert lite_acme.driver.raw("GET", path, {"X-Requested-By": "test"}).code == "SSO_01"
    body = {"id": "u@acme", "name": "U", "roles": ["user"]}
    lite_acme.put("/security/rest/v1/organization/acme/users", body)
    answer = lite_acme.driver.login("u@acme").call("PUT", path, {})
    assert (answer.status, answer.code) == (403, "SECURITY_02")


def test_pipelines_of_a_group_are_those_its_members_made(acme: Any) -> None:
    """Without a group, and for all@acme, every pipeline."""
    base = "/security/rest/v1/organization/acme"
    acme.put(f"{base}/groups", {"id": "g@acme", "name": "G"})
    acme.put(f"{base}/users", {"id": "u@acme", "name": "U", "roles": ROLES, "groups": ["g@acme"]})
    acme.pipeline("Theirs")
    acme.driver.login("u@acme").pipeline("Mine")

    def names(query: str) -> list[str]:
        return [row["name"] for row in acme.get(f"{STORE}/metrics/pipelines{query}")["data"]]

    assert names("?group=g@acme") == ["Mine"]
    assert names("?group=all@acme") == names("") == ["Mine", "Theirs"]


AUDITS = [
    "/security/rest/v1/organization/acme/users/listActions",
    "/jobrunner/rest/v1/metrics/listAclAudits",
    "/connection/rest/v1/connections/acme/connectionAudits",
]


@pytest.mark.parametrize("path", AUDITS)
def test_audits_come_in_the_wrapper_when_it_is_asked_for(path: str, lite_acme: Any) -> None:
    """Bare lists otherwise, as every list."""
    rows = lite_acme.get(path)
    page = lite_acme.get(f"{path}?withWrapper=True&len=5")
    assert (page["totalCount"], page["data"]) == (len(rows), rows)


def test_labels_and_versions_of_engines_come_in_pages(lite_acme: Any) -> None:
    """offset and len, as every list."""
    lite_acme.engine(labels=("a", "b", "c"))
    path = "/jobrunner/rest/v1/sdcs/labels"
    assert lite_acme.get(path) == ["a", "b", "c"]
    assert lite_acme.get(f"{path}?offset=1&len=1") == ["b"]
    assert lite_acme.get(f"{path}?offset=0&len=-1") == ["a", "b", "c"]
    assert lite_acme.get("/jobrunner/rest/v1/sdcs/versions?len=0") == []
    wrapped = lite_acme.get("/provisioning/rest/v1/dpmAgents?withWrapper=True")
    assert wrapped == {"totalCount": 0, "offset": 0, "len": -1, "data": []}


def test_a_filter_finds_names_and_ids(lite_acme: Any) -> None:
    """In the lists of topologies, connections and report definitions too."""
    made = [
        lite_acme.put("/topology/rest/v1/topologies", {"name": "T"})["topologyId"],
        lite_acme.put("/connection/rest/v1/connections", {"name": "C", "connectionType": "JDBC"})["id"],
        lite_acme.put("/reporting/rest/v1/reports", {"name": "R"})["id"],
    ]
    paths = (
        "/topology/rest/v1/topologies",
        "/connection/rest/v1/connections",
        "/reporting/rest/v1/reports",
    )
    for path, name, found in zip(paths, "TCR", made, strict=True):
        assert len(lite_acme.get(f"{path}?filterText={found[:8]}")) == 1, path
        assert len(lite_acme.get(f"{path}?filterText={name}")) == 1, path
        assert lite_acme.get(f"{path}?filterText=nothing") == [], path


def test_topologies_are_listed_by_their_last_change(lite_acme: Any) -> None:
    """orderBy=LAST_MODIFIED_TIME, which clients of the 4.x line send."""
    for name in ("b", "a"):
        lite_acme.put("/topology/rest/v1/topologies", {"name": name})
        lite_acme.driver.clock.advance(1)
    path = "/topology/rest/v1/topologies?orderBy=LAST_MODIFIED_TIME&order="
    assert [t["name"] for t in lite_acme.get(path + "ASC")] == ["b", "a"]
    assert [t["name"] for t in lite_acme.get(path + "DESC")] == ["a", "b"]


def test_topology_commits_are_limited(lite_acme: Any) -> None:
    """Drafts of new versions count, beside new topologies."""
    system = lite_acme.driver.login("admin@admin")
    path = "/security/rest/v1/organization/acme/configs"
    system.post(path, [{"id": "org.max.topology.commits", "value": "2"}])
    first = lite_acme.put("/topology/rest/v1/topologies", {"name": "T"})["commitId"]
    base = f"/topology/rest/v1/topology/{first}"
    lite_acme.post(f"{base}/publish")
    draft = lite_acme.post(f"{base}/createDraft")
    assert lite_acme.call("PUT", "/topology/rest/v1/topologies", {"name": "U"}).status == 403
    lite_acme.post(f"/topology/rest/v1/topology/{draft['commitId']}/publish")
    again = f"/topology/rest/v1/topology/{draft['commitId']}/createDraft"
    assert lite_acme.call("POST", again).status == 403
    assert len(lite_acme.get("/topology/rest/v1/topologies")) == 1


def test_series_have_the_columns_that_were_asked_for(lite_acme: Any) -> None:
    """Meters of the pipeline, timers of its stages; an unknown measurement is an empty series."""
    engine, job = lite_acme.engine(), lite_acme.job()
    lite_acme.start(job)
    engine.run()
    registry = {
        "counters": {"pipeline.batchInputRecords.counter": {"count": 7}},
        "meters": {
            "pipeline.batchInputRecords.meter": {"m1_rate": 2.5, "mean_rate": 1.5},
            "pipeline.batchCount.meter": {"count": 3, "m1_rate": 0.1},
        },
        "timers": {
            "stage.Origin_1.batchProcessing.timer": {"count": 3, "mean": 0.2},
            "stage.Trash_1.batchProcessing.timer": {"count": 3, "mean": 0.4},
            "pipeline.batchProcessing.timer": {"count": 3, "mean": 9},
        },
    }
    headers = {
        "X-Requested-By": "SDC",
        "X-SS-App-Component-Id": engine.id,
        "X-SS-App-Auth-Token": engine.token,
    }
    body = json.dumps([{"metadata": {"dpm.job.id": job["id"]}, "metrics": registry}]).encode()
    lite_acme.driver.raw("POST", "/timeseries/rest/v1/metrics", headers, body)
    wishes = [
        ("PIPELINE_BATCH_INPUT_RECORDS_METER", ["count", "m1_rate", "mean"]),
        ("PIPELINE_BATCH_COUNT_METER", None),
        ("STAGE_BATCH_PROCESSING_TIMER", ["mean"]),
        ("NOTHING", ["count"]),
    ]
    asked = [{"jobId": job["id"], "measurement": m, "columns": c} for m, c in wishes]
    now = lite_acme.driver.clock.now_ms
    answers = lite_acme.post("/timeseries/rest/v1/metrics/query", asked)
    assert [a["error"] for a in answers] == [None] * 4
    first, second, third, fourth = (a["series"] for a in answers)
    assert (first[0]["columns"], first[0]["values"]) == (
        ["time", "count", "m1_rate", "mean"],
        [[now, 7, 2.5, None]],
    )
    assert (second[0]["columns"], second[0]["values"]) == (["time", "count", "m1_rate"], [[now, 3, 0.1]])
    assert [(s["tags"]["stage"], s["values"]) for s in third] == [
        ("Origin_1", [[now, 0.2]]),
        ("Trash_1", [[now, 0.4]]),
    ]
    assert fourth == [{"name": "NOTHING", "columns": ["time", "count"], "tags": {}, "values": []}]


ANSWERS = {
    # app: record, an object of it in the answer
    "jobrunner": ("JobJson", lambda s: s.job()),
    "pipelinestore": ("PipelineJson", lambda s: s.pipeline()),
    "topology": ("TopologyJson", lambda s: s.put("/topology/rest/v1/topologies", {"name": "T"})),
    "security": ("UserJson", lambda s: s.get("/security/rest/v1/organization/acme/user/admin@acme")),
    "sla": ("DataSlaJson", lambda s: s.put("/sla/rest/v1/dataSlas", {"label": "S"})),
}


@pytest.mark.parametrize("app", ANSWERS)
def test_records_are_answered_with_every_field_of_their_definition(app: str, lite_acme: Any) -> None:
    """Clients fill the swagger definition's fields with null and send them back."""
    record, make = ANSWERS[app]
    fields = lite_acme.get(f"/{app}/rest/swagger.json")["definitions"][record]["properties"]
    assert set(fields) - set(make(lite_acme)) == set()
