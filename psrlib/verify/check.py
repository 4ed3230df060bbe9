"""The outcome of one question asked of a hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Group = Literal["exact", "structural", "statistical"]
Outcome = Literal["failed", "could not tell", "held"]
OUTCOMES: tuple[Outcome, ...] = ("failed", "could not tell", "held")  # the order in which they matter


@dataclass(frozen=True)
class Check:
    """One question, asked of ``checked`` things, with its answer.

    The name is stable, the same in every report (``jobs_active``). The answer is one line, figures where all
    is well and the first finding otherwise; ``findings`` has a line for each of the ``failed`` things.
    """

    group: Group
    name: str
    question: str
    ok: bool
    checked: int
    failed: int
    answer: str
    findings: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """What came of it; a check that found nothing to look at has not held."""
        if not self.ok:
            return "failed"
        return "held" if self.checked else "could not tell"


def judge(
    group: Group, name: str, question: str, checked: int, findings: Sequence[str], answer: str | None = None
) -> Check:
    """Return the check that holds when there is no finding.

    Examples
    --------
    >>> judge("exact", "users", "is every user there?", 3, ["ann@o is missing"]).answer
    '1 of 3 wrong: ann@o is missing'
    """
    if answer is None or findings:
        more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
        answer = f"all {checked}" if checked else "nothing to look at"
        if findings:
            answer = f"{len(findings)} of {checked} wrong: {findings[0]}{more}"
    return Check(group, name, question, not findings, checked, len(findings), answer, tuple(findings))
