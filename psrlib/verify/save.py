"""Files of a report: JSON to compare, HTML to read, JUnit XML for CI servers."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2
import orjson
import pandas as pd

from psrlib.files import replace_file
from psrlib.verify.exact import describe
from psrlib.verify.report import ReportChanges, VerificationReport

FORMAT = "psr-verification/1"
ROWS_UNFOLDED = 20  # deviations that the page shows without being asked
ROWS_SHOWN = 200  # deviations listed on the page; the JSON has them all
TEMPLATES = Path(__file__).parent / "templates"


def save_report(
    report: VerificationReport,
    directory: Path,
    pictures: Mapping[str, str] | None = None,
    changes: ReportChanges | None = None,
    runs: pd.DataFrame | None = None,
) -> Path:
    """Write ``report.json``, ``report.html`` and ``junit.xml`` into a directory; return the HTML's path.

    Parameters
    ----------
    pictures : mapping of str to str or None
        Plots to put into the page, SVG elements by their captions (`psrlib.plots.review`).
    changes : ReportChanges or None
        What changed since the latest earlier report, to be told on the page.
    runs : DataFrame or None
        Earlier reports and this one, for a table on the page (`psrlib.verify.trend`).

    Raises
    ------
    InputError
        If the directory cannot be made or written to.
    """
    replace_file(directory / "report.json", to_json(report))
    replace_file(directory / "junit.xml", to_junit(report))
    return replace_file(directory / "report.html", to_html(report, pictures or {}, changes, runs))


def to_json(report: VerificationReport) -> bytes:
    """Return everything of a report but the plots; `psrlib.verify.compare.load_report` reads it."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(to_record(report), option=options) + b"\n"


def to_record(report: VerificationReport) -> dict[str, Any]:
    """Return what `to_json` writes."""
    return {
        "format": FORMAT,
        **report.summary(),
        "checks": [{**asdict(check), "outcome": check.outcome} for check in report.results],
        "difference": _records(report.difference.frame()),
        "counts": _records(report.counts),
        "jobs": _records(report.jobs),
        "spread": _records(report.spread),
        "distances": _records(report.distances),
    }


def to_junit(report: VerificationReport) -> bytes:
    """Return a JUnit XML document: a suite per group of checks, a case per check."""
    root = ElementTree.Element("testsuites", name="psr verify")
    for group in dict.fromkeys(check.group for check in report.results):
        checks = [check for check in report.results if check.group == group]
        failures = sum(not check.ok for check in checks)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"psr.verify.{group}",
            tests=str(len(checks)),
            failures=str(failures),
            errors="0",
            skipped=str(sum(check.outcome == "could not tell" for check in checks)),
            timestamp=report.subject.verified_at,
            hostname=report.subject.hub,
        )
        for check in checks:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"psr.verify.{group}", name=check.name, time="0"
            )
            if check.outcome == "could not tell":
                ElementTree.SubElement(case, "skipped", message=f"could not tell: {check.answer}")
            elif check.outcome == "failed":
                failure = ElementTree.SubElement(case, "failure", message=check.answer, type="inconsistent")
                failure.text = "\n".join(check.findings[:ROWS_SHOWN])
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def to_html(
    report: VerificationReport,
    pictures: Mapping[str, str],
    changes: ReportChanges | None = None,
    runs: pd.DataFrame | None = None,
) -> bytes:
    """Return one self-contained page: verdict, trend, changes, plots, checks, deviations."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("report.html").render(
        report=report,
        subject=report.subject,
        pictures=pictures,
        deviations=[(item, describe(item)) for item in report.difference.items[:ROWS_SHOWN]],
        n_deviations=len(report.difference),
        rows_unfolded=ROWS_UNFOLDED,
        comparison=changes,
        changes=[] if changes is None else _records(changes.changes.head(ROWS_SHOWN)),
        runs=[] if runs is None else _records(runs),
        distances=_records(report.distances),
    )
    return page.encode()


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(column): value for column, value in row.items()} for row in plain.to_dict("records")]
