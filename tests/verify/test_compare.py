"""Two reports of the same seed document tell what changed between them."""

import dataclasses
from pathlib import Path

import msgspec
import orjson
import pytest
from support.page import Page

from psrlib import plots
from psrlib.errors import InputError
from psrlib.seed import SeedDocument
from psrlib.state.observed import ObservedState
from psrlib.verify import Subject, compare_reports, judge_state, load_report, save_report, trend
from psrlib.verify.save import to_record


@pytest.fixture
def earlier(document: SeedDocument, state: ObservedState, subject: Subject, folder: Path) -> Path:
    save_report(judge_state(document, state, subject), folder)
    return folder


def test_the_same_state_has_not_changed(
    earlier: Path, document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """The time of the verification is no change."""
    later = judge_state(
        document, state, dataclasses.replace(subject, verified_at="2026-02-01T00:00:00+00:00")
    )
    comparison = compare_reports(load_report(earlier), later)
    assert not comparison
    assert comparison.verdict == (
        "Nothing changed between 2026-01-01T00:00:00+00:00 and 2026-02-01T00:00:00+00:00."
    )


def test_an_upgrade_that_loses_a_job_and_stops_another_is_told(
    earlier: Path, document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """Version, check, deviation, count and status each have their line."""
    found = state.organizations["org-0001"]
    lost, stopped = [job for job in found.organization.jobs if job.status == "ACTIVE"][:2]
    jobs = [job for job in found.organization.jobs if job.key != lost.key]
    found.organization = msgspec.structs.replace(found.organization, jobs=jobs)
    del found.jobs[lost.key]
    found.jobs[stopped.key] = dataclasses.replace(found.jobs[stopped.key], status="INACTIVE", color="GRAY")
    later = judge_state(document, state, dataclasses.replace(subject, hub_version="3.54.0"))
    changes = compare_reports(load_report(earlier), later).changes.set_index("where")
    assert changes.loc["", "before"] == "3.22.2"
    assert changes.loc["", "after"] == "3.54.0"
    assert changes.loc[f"org-0001/jobs/{lost.name}", "after"] == "missing"
    assert changes.loc[f"org-0001/{stopped.name}", "before"] == "ACTIVE/GREEN"
    assert changes.loc[f"org-0001/{stopped.name}", "after"] == "INACTIVE/GRAY"
    assert changes.loc["jobs_active", "after"] == "failed"


def test_a_report_of_another_seed_is_refused(
    earlier: Path, document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """The message names what differs."""
    other = judge_state(document, state, dataclasses.replace(subject, random_seed=8))
    with pytest.raises(InputError, match=r"another seed document: its random_seed is 7, here it is 8"):
        compare_reports(load_report(earlier), other)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read"),
        (b"{", "not JSON"),
        (b"[]", "expected a report.json"),
        (b'{"format": "x"}', "expected a"),
    ],
    ids=["missing", "broken", "list", "other format"],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    """One sentence with the file's name."""
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_report(path)


def test_a_saved_report_says_what_the_report_says(earlier: Path) -> None:
    """JSON of plain values only."""
    saved = orjson.loads((earlier / "report.json").read_bytes())
    assert saved["consistent"] is True
    assert saved["random_seed"] == 7
    assert len(saved["counts"]) == 55
    assert {check["group"] for check in saved["checks"]} == {"exact", "structural"}


def test_the_page_shows_the_trend_over_several_reports_and_the_changes_since_the_last(
    earlier: Path, document: SeedDocument, state: ObservedState, subject: Subject
) -> None:
    """A row for each, in the order of their times; the one in which a job was lost has failed."""
    found = state.organizations["org-0001"]
    lost = next(job for job in found.organization.jobs if job.status == "ACTIVE")
    jobs = [job for job in found.organization.jobs if job.key != lost.key]
    found.organization = msgspec.structs.replace(found.organization, jobs=jobs)
    del found.jobs[lost.key]
    when = [f"2026-0{month}-01T00:00:00+00:00" for month in (1, 2, 3)]
    second, third = (
        judge_state(document, state, dataclasses.replace(subject, verified_at=at)) for at in when[1:]
    )
    runs = trend([to_record(third), load_report(earlier), to_record(second)])
    assert runs["verified"].tolist() == when
    assert runs["verdict"].tolist() == ["held", "failed", "failed"]
    assert runs["deviations"].tolist() == [0, 1, 1]
    assert (runs["entities"] - runs["entities"][0]).tolist() == [0, -1, -1]
    assert (runs["green"] - runs["green"][0]).tolist() == [0, -1, -1]
    changes = compare_reports(load_report(earlier), third)
    page = Page(save_report(third, earlier, plots.review(third, runs), changes, runs).read_text())
    assert page.open == []
    assert "Trend over 3 verifications" in page.texts
    assert "Changes since 2026-01-01T00:00:00+00:00" in page.texts
    assert f"org-0001/jobs/{lost.name}" in page.texts
    assert len(page.plots) == len(plots.review(third)) + 1
