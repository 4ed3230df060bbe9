"""The outcome of one question asked of a hub."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import pandas as pd

Group = Literal["exact", "structural", "statistical"]
COLUMNS = ["group", "name", "ok", "checked", "failed", "question", "answer"]


@dataclass(frozen=True)
class Check:
    """One question with its answer.

    Parameters
    ----------
    group : {"exact", "structural", "statistical"}
    name : str
        Stable identifier, the same in every report (``jobs_active``).
    question : str
        What was asked, in words.
    ok : bool
    checked, failed : int
        How many things were looked at, and how many were not as they should be.
    answer : str
        One line: figures where all is well, the first findings otherwise.
    findings : tuple of str
        One line per thing that is wrong.
    """

    group: Group
    name: str
    question: str
    ok: bool
    checked: int
    failed: int
    answer: str
    findings: tuple[str, ...] = ()


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
        answer = f"{len(findings)} of {checked} wrong: {findings[0]}{more}" if findings else f"all {checked}"
    return Check(group, name, question, not findings, checked, len(findings), answer, tuple(findings))


def checks_frame(checks: Sequence[Check]) -> pd.DataFrame:
    """Return one row per check: group, name, ok, checked, failed, question, answer."""
    return pd.DataFrame([asdict(check) for check in checks], columns=COLUMNS)
