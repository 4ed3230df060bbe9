"""What was found at a Control Hub, for people and for programs."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from psrlib.doctor.needs import Call, Need
from psrlib.state.capabilities import Capabilities

Level = Literal["ok", "note", "problem"]
Result = Literal["answered", "listed", "unlisted", "missing", "wrong", "refused", "not tried"]
SAID = {"answered": "answered as expected", "listed": "in the hub's own document", "not tried": "not tried"}


@dataclass(frozen=True)
class Finding:
    """One line: its level, what it is about, what is so, and what to do."""

    level: Level
    subject: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.level:8} {self.subject}: {self.text}" + (f"; {self.advice}" if self.advice else "")


@dataclass
class Checked:
    """A call the populator needs and what became of it; ``detail`` tells of failures."""

    need: Need
    call: Call
    result: Result = "not tried"
    detail: str = ""

    @property
    def is_there(self) -> bool:
        """Whether nothing speaks against it."""
        return self.result in SAID

    def finding(self) -> Finding:
        """Return the line of a call that is not as it should be."""
        texts = {
            "missing": "is not there",
            "unlisted": "is not in the hub's own document, and was not tried",
            "wrong": f"answers otherwise than expected ({self.detail})",
            "refused": f"was refused ({self.detail})",
        }
        otherwise = self.need.otherwise
        whom = {
            "missing": "ask who runs the hub for a release that has it",
            "unlisted": "--write tries it",
        }.get(self.result, "report it")
        advice = f"without it {otherwise}" if otherwise else f"populating cannot go on without it; {whom}"
        text = f"{texts[self.result]}; needed to {self.need.what}"
        return Finding("note" if otherwise else "problem", str(self.call), text, advice)


@dataclass(frozen=True)
class Report:
    """All findings on a hub.

    ``release`` is empty when the hub does not tell it, ``scratch`` the organization written into,
    ``adds_versions`` whether an imported pipeline became a version of the one it names (None: not tried).
    """

    url: str
    release: str
    scratch: str
    findings: tuple[Finding, ...]
    calls: tuple[Checked, ...]
    adds_versions: bool | None = None

    @property
    def exit_status(self) -> int:
        """0 when populating can go on, 1 when something it cannot do without is lacking or wrong."""
        return int(any(finding.level == "problem" for finding in self.findings))

    @property
    def verdict(self) -> str:
        """One sentence."""
        counts = Counter(finding.level for finding in self.findings)
        there = sum(checked.is_there for checked in self.calls)
        done = f"{there} of {len(self.calls)} calls are there, {counts['note']} notes"
        if self.exit_status:
            return f"psr populate would fail on this hub: {counts['problem']} problems ({done})"
        untried = sum(checked.result != "answered" for checked in self.calls)
        more = f"; {untried} were not made: --write makes them in a scratch organization"
        return f"psr populate can fill this hub: {done}" + (more if untried and not self.scratch else "")

    def text(self) -> str:
        """Return one line per finding and the verdict."""
        return "\n".join([*map(str, self.findings), f"verdict  {self.verdict}"])

    def record(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {
            "hub": self.url,
            "release": self.release,
            "scratch_organization": self.scratch,
            "verdict": self.verdict,
            "exit_status": self.exit_status,
            "findings": [asdict(finding) for finding in self.findings],
            "calls": [
                {
                    "call": str(checked.call),
                    "for": checked.need.what,
                    "result": checked.result,
                    "detail": checked.detail,
                    "otherwise": checked.need.otherwise,
                }
                for checked in self.calls
            ],
        }


def learned(report: Report) -> Capabilities:
    """Return what populating need not ask the hub any more."""
    return Capabilities(
        hub=report.url.rstrip("/"),
        release=report.release,
        checked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        create_jobs=_known(report, "/jobs/createJobs"),
        import_pipelines=_known(report, "/pipelines/importPipelineCommits"),
        import_adds_versions=report.adds_versions,
        calls={str(checked.call): checked.result for checked in report.calls},
    )


def _known(report: Report, path: str) -> bool | None:
    """Whether the hub has a call; None when it was not made, for a document may promise too much."""
    results = {"answered": True, "missing": False, "unlisted": False}
    return next((results.get(c.result) for c in report.calls if c.call.path.endswith(path)), None)
