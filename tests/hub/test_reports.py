"""Data delivery reports: their figures, their time range, and the PDF they come in."""

import json
import re
from typing import Any

import pytest

from psrlib.hub.apps.reporting.pdf import LINES_PER_PAGE, write_pdf
from psrlib.hub.runner.reports import moment_ms

REPORTS = "/reporting/rest/v1/reports"
HOUR_MS = 3_600_000


def report(session: Any, **definition: Any) -> list[str]:
    """Generate a report; return its lines."""
    made = session.put(REPORTS, {"name": "Daily", **definition})
    base = f"/reporting/rest/v1/report/{made['id']}"
    asked = session.post(f"{base}/generateReport?triggerTime={session.driver.clock.now_ms}")
    session.driver.tick(1)
    answer = session.call("GET", f"{base}/{asked['id']}/download?reportFormat=TEXT")
    assert answer.headers["content-type"].startswith("text/plain")
    return str(answer.content.decode()).split("\n")


def run_once(session: Any, engine: Any, job: dict[str, Any], n_records: int) -> None:
    """Run a job, let its engine report records, and stop it."""
    session.start(job)
    engine.run()
    counters = {
        "pipeline.batchInputRecords.counter": {"count": n_records},
        "pipeline.batchOutputRecords.counter": {"count": n_records - 1},
        "pipeline.batchErrorRecords.counter": {"count": 1},
    }
    engine.send_metrics(job, {"counters": counters})
    session.stop(job)
    engine.run()


def test_a_report_counts_the_records_of_the_runs_in_its_range(acme: Any) -> None:
    """A run that ended before the range is left out."""
    engine, job = acme.engine(), acme.job("Orders")
    run_once(acme, engine, job, 100)
    acme.driver.clock.advance(2 * 3600)
    engine.poll()
    run_once(acme, engine, job, 10)
    artifacts = [{"resourceId": job["id"], "resourceType": "JOB"}]
    recent = report(acme, startTime="${time:now() - 1 * HOURS}", reportArtifacts=artifacts)
    assert recent[-1] == "job Orders: INACTIVE, 1 runs, 10 records in, 9 out, 1 errors"
    everything = report(acme, reportArtifacts=artifacts)
    assert everything[-1] == "job Orders: INACTIVE, 2 runs, 110 records in, 108 out, 2 errors"
    assert everything[2] == "From open to open"


def test_a_report_on_a_topology_lists_its_jobs(lite_acme: Any, helpers: Any) -> None:
    """By commit id; a job that is gone is named, one that never ran too."""
    jobs = [lite_acme.job("One"), lite_acme.job("Two")]
    nodes = [{"nodeType": "JOB", "jobId": job["id"]} for job in jobs]
    definition = json.dumps({"schemaVersion": "1", "topologyNodes": nodes, "stageIcons": {}, "valid": True})
    made = lite_acme.put("/topology/rest/v1/topologies", {"name": "T", "topologyDefinition": definition})
    lite_acme.call("DELETE", f"/jobrunner/rest/v1/job/{jobs[1]['id']}", expect=200)
    lines = report(lite_acme, reportArtifacts=[{"resourceId": made["commitId"], "resourceType": "TOPOLOGY"}])
    assert lines[-2:] == [
        "job One: never started, 0 runs, 0 records in, 0 out, 0 errors",
        f"job {jobs[1]['id']}: removed",
    ]


def test_a_report_tells_nothing_of_another_organizations_job(acme: Any, helpers: Any) -> None:
    """Its id in the definition finds nothing."""
    beta = helpers.create_organization(acme.driver.login("admin@admin"), "beta")
    job = acme.job("Secret")
    lines = report(beta, reportArtifacts=[{"resourceId": job["id"], "resourceType": "JOB"}])
    assert lines[-1] == f"job {job['id']}: removed"


def test_a_report_needs_the_permission_to_read_what_it_is_about(lite_acme: Any, helpers: Any) -> None:
    """Where the organization enforces permissions."""
    base = "/security/rest/v1/organization/acme"
    lite_acme.post(f"{base}/configs", [{"id": "dpm.enforce.permissions", "value": "true"}])
    roles = [*helpers.ROLES, "reporting:operator"]
    lite_acme.put(f"{base}/users", {"id": "u@acme", "name": "U", "roles": roles})
    job = lite_acme.job()
    body = {"name": "R", "reportArtifacts": [{"resourceId": job["id"], "resourceType": "JOB"}]}
    user = lite_acme.driver.login("u@acme")
    assert user.call("PUT", REPORTS, body).status == 403
    assert lite_acme.call("PUT", REPORTS, body).status == 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("${time:now() - 30 * MINUTES}", 10 * HOUR_MS - HOUR_MS // 2),
        ("${ time:now() }", 10 * HOUR_MS),
        ("${time:now() - 1 * FORTNIGHTS}", None),
        ("yesterday", None),
        (None, None),
        (5, 5),
    ],
)
def test_times_of_a_definition_are_numbers_or_expressions(given: Any, expected: Any) -> None:
    """What is not understood leaves the range open."""
    assert moment_ms(given, 10 * HOUR_MS) == expected


def pages_of(document: bytes) -> list[bytes]:
    """Return the content of each page, found the way a reader finds it: by the table at the end."""
    table = int(document.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    head, *rows = document[table:].split(b"trailer")[0].strip().split(b"\n")[1:]
    assert int(head.split()[1]) == len(rows)
    objects = {}
    for number, row in enumerate(rows):
        at = int(row[:10])
        if number:
            assert document[at:].startswith(b"%d 0 obj" % number)
            objects[number] = document[at : document.index(b"endobj", at)]
    pages = re.search(rb"/Kids \[(.*?)\]", objects[2])
    assert pages is not None
    found = []
    for kid in re.findall(rb"(\d+) 0 R", pages.group(1)):
        number = re.search(rb"/Contents (\d+) 0 R", objects[int(kid)])
        assert number is not None
        stream = objects[int(number.group(1))]
        length = re.search(rb"/Length (\d+)", stream)
        assert length is not None
        start = stream.index(b"stream\n") + 7
        found.append(stream[start : start + int(length.group(1))])
        assert stream[start + int(length.group(1)) :].startswith(b"\nendstream")
    return found


def test_a_report_is_downloaded_as_pdf(lite_acme: Any) -> None:
    """By default, and as reportFormat=PDF."""
    made = lite_acme.put(REPORTS, {"name": "Größe (1)"})
    base = f"/reporting/rest/v1/report/{made['id']}"
    asked = lite_acme.post(f"{base}/generateReport")
    assert lite_acme.call("GET", f"{base}/{asked['id']}/download").status == 400
    lite_acme.driver.tick(1)
    answer = lite_acme.call("GET", f"{base}/{asked['id']}/download?reportFormat=PDF")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content == lite_acme.call("GET", f"{base}/{asked['id']}/download").content
    (page,) = pages_of(answer.content)
    assert "(Data delivery report Größe \\(1\\)) Tj".encode("cp1252") in page


@pytest.mark.parametrize("n_lines", [0, 1, LINES_PER_PAGE, LINES_PER_PAGE + 1, 5 * LINES_PER_PAGE])
def test_a_pdf_has_as_many_pages_as_its_lines_need(n_lines: int) -> None:
    """Every line is on one page, in order."""
    pages = pages_of(write_pdf([f"line {n}" for n in range(n_lines)]))
    assert len(pages) == max(1, -(-n_lines // LINES_PER_PAGE))
    assert re.findall(rb"\(line (\d+)\) Tj", b"".join(pages)) == [b"%d" % n for n in range(n_lines)]
