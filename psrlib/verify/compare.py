"""What changed between two verifications of the same seed document, around an upgrade for instance."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from psrlib.errors import InputError
from psrlib.verify.report import VerificationReport
from psrlib.verify.save import FORMAT, to_json

ORIGIN = ("random_seed", "num_orgs", "model_sha256")  # what makes two reports those of the same document
PARTS = ("checks", "difference", "counts", "jobs")


@dataclass(frozen=True)
class ReportChanges:
    """The changes between two verifications, at the times ``before`` and ``after``; falsy when there is none.

    Columns: what (``check``, ``deviation``, ``entities``, ``job status``, ``hub version``), where, before and
    after.
    """

    changes: pd.DataFrame
    before: str
    after: str

    def __bool__(self) -> bool:
        return not self.changes.empty

    @property
    def verdict(self) -> str:
        """The comparison in one sentence."""
        period = f"between {self.before} and {self.after}"
        if not self:
            return f"Nothing changed {period}."
        counts = Counter(self.changes["what"])
        words = ", ".join(f"{n} {what}{'s' if n > 1 else ''}" for what, n in counts.items())
        return f"Changed {period}: {words}."


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
    needed = {"format", "verified_at", *ORIGIN, *PARTS}
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
