"""A report on disk: JSON, HTML and JUnit XML."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.page import Page

from psrlib import plots
from psrlib.errors import InputError
from psrlib.seed import SeedDocument
from psrlib.state.observed import ObservedState
from psrlib.verify import Subject, VerificationReport, judge_state, save_report


@pytest.fixture
def broken(document: SeedDocument, state: ObservedState, subject: Subject) -> VerificationReport:
    """A report with a whole organization missing."""
    del state.organizations["org-0001"]
    return judge_state(document, state, subject)


def test_the_page_shows_the_verdict_the_plots_and_the_deviations(
    broken: VerificationReport, folder: Path
) -> None:
    """Self-contained: plots are inside, nothing is loaded from elsewhere."""
    pictures = plots.review(broken)
    text = save_report(broken, folder, pictures).read_text()
    page = Page(text)
    assert page.open == []
    assert broken.verdict in page.texts
    assert len(page.plots) == len(pictures) >= 6
    assert all(link.startswith("#") for link in page.links)
    assert "url(http" not in text
    assert plots.review(broken) == pictures
    assert 'org-0001: organizations "org-0001" is missing' in page.texts


def test_junit_counts_cases_and_failures_as_the_report_does(broken: VerificationReport, folder: Path) -> None:
    """A CI server shows one case per check, a failure with its findings for each that does not hold."""
    save_report(broken, folder)
    root = ElementTree.parse(folder / "junit.xml").getroot()
    cases = root.findall("testsuite/testcase")
    failures = [case for case in cases if case.find("failure") is not None]
    assert len(cases) == len(broken.results)
    assert {case.get("name") for case in failures} == {check.name for check in broken.results if not check.ok}
    assert sum(int(suite.get("failures", "")) for suite in root) == len(failures)
    users = next(case for case in failures if case.get("name") == "users")
    failure = users.find("failure")
    assert failure is not None
    assert "is missing" in (failure.text or "")


def test_names_with_markup_are_shown_as_text(
    document: SeedDocument, state: ObservedState, subject: Subject, folder: Path
) -> None:
    """What a hub holds is data, never HTML."""
    state.foreign.append("<script>alert(1)</script>")
    page = save_report(judge_state(document, state, subject), folder).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_a_folder_that_cannot_be_made_is_one_sentence(broken: VerificationReport, tmp_path: Path) -> None:
    """A file is in the way."""
    (tmp_path / "report").write_text("")
    with pytest.raises(InputError, match=r"report\.json: cannot be written"):
        save_report(broken, tmp_path / "report")


def test_nothing_but_the_three_files_is_left(broken: VerificationReport, folder: Path) -> None:
    """Temporary files are gone."""
    save_report(broken, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "report.html", "report.json"]
