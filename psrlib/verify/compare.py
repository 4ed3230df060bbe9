"""What changed between two verifications of the same seed document, around an upgrade for instance."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from psrlib.errors import InputError
from psrlib.verify.report import ReportChanges, VerificationReport
from psrlib.verify.save import FORMAT, to_json

ORIGIN = ("random_seed", "num_orgs", "model_sha256")  # what makes two reports those of the same document
PARTS = ("checks", "difference", "counts", "jobs")


def load_report(path: str | Path) -> dict[str, Any]:
    """Read a ``report.json``, or the one in a report folder.

    Raises
    ------
    InputError
        If the file is missing, or no verification report.
    """
    path = Path(path)
    file = path / "report.json" if path.is_dir() else path
    try:
        report = orjson.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot read the report to compare with ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{file}: not JSON ({error}); expected the report.json of psr verify") from error
    needed = {"format", "verified_at", "hub_version", "consistent", "calls", "duration_s", *ORIGIN, *PARTS}
    if not isinstance(report, dict) or report.get("format") != FORMAT or not needed <= set(report):
        raise InputError(f'{file}: expected a report.json of psr verify (format "{FORMAT}")')
    return report


def compare_reports(
    before: Mapping[str, Any], after: VerificationReport | Mapping[str, Any]
) -> ReportChanges:
    """Return what changed from an earlier report (`load_report`) to a later one.

    Raises
    ------
    InputError
        If the reports are of different seed documents.
    """
    later = orjson.loads(to_json(after)) if isinstance(after, VerificationReport) else after
    for field in ORIGIN:
        if before[field] != later[field]:
            raise InputError(
                f"the report to compare with is of another seed document: its {field} is {before[field]}, "
                f"here it is {later[field]}"
            )
    changes = [
        *_changed("hub version", {"": before.get("hub_version")}, {"": later.get("hub_version")}),
        *_changed("check", _checks(before), _checks(later)),
        *_changed("deviation", _deviations(before), _deviations(later)),
        *_changed("entities", _counts(before), _counts(later)),
        *_changed("job status", _statuses(before), _statuses(later)),
    ]
    frame = pd.DataFrame(changes, columns=["what", "where", "before", "after"])
    return ReportChanges(frame, str(before["verified_at"]), str(later["verified_at"]))


def trend(reports: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row for each of several reports of the same seed document (`load_report`), earliest first.

    Columns: verified, hub_version, verdict (held or failed), failed, could_not_tell (checks), deviations,
    entities (observed), green (jobs ACTIVE and GREEN), requests, seconds.
    """
    rows = [
        {
            "verified": report["verified_at"],
            "hub_version": report["hub_version"],
            "verdict": "held" if report["consistent"] else "failed",
            "failed": sum(check["outcome"] == "failed" for check in report["checks"]),
            "could_not_tell": sum(check["outcome"] == "could not tell" for check in report["checks"]),
            "deviations": len(report["difference"]),
            "entities": sum(row["observed"] for row in report["counts"] if row["metric"] != "active_jobs"),
            "green": sum((job["status"], job["color"]) == ("ACTIVE", "GREEN") for job in report["jobs"]),
            "requests": sum(report["calls"].values()),
            "seconds": report["duration_s"],
        }
        for report in reports
    ]
    return pd.DataFrame(rows).sort_values("verified", kind="stable", ignore_index=True)


def _changed(
    what: str, before: Mapping[str, object], after: Mapping[str, object]
) -> Iterable[tuple[str, str, object, object]]:
    for where in dict.fromkeys([*before, *after]):
        if before.get(where) != after.get(where):
            yield what, where, before.get(where, "none"), after.get(where, "none")


def _checks(report: Mapping[str, Any]) -> dict[str, str]:
    return {check["name"]: check["outcome"] for check in report["checks"]}


def _deviations(report: Mapping[str, Any]) -> dict[str, str]:
    return {
        "/".join(str(item[part]) for part in ("organization", "kind", "name", "field") if item[part]): (
            f"{item['change']}: {item['observed']}" if item["field"] else item["change"]
        )
        for item in report["difference"]
    }


def _counts(report: Mapping[str, Any]) -> dict[str, int]:
    return {f"{row['organization']}/{row['metric']}": row["observed"] for row in report["counts"]}


def _statuses(report: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{row['organization']}/{row['name']}": f"{row['status']}{'/' + row['color'] if row['color'] else ''}"
        for row in report["jobs"]
        if not row["driven"]
    }
