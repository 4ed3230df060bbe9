"""The result of a verification: verdict, checks, difference, tables; kept as JSON, HTML and JUnit XML."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from psrlib.state.diff import Difference
from psrlib.verify.check import OUTCOMES, Check


@dataclass(frozen=True)
class Subject:
    """What was verified, where and when."""

    hub: str
    hub_version: str
    verified_at: str
    random_seed: int
    num_orgs: int
    model: str
    model_sha256: str
    seed_sha256: str
    left_out: str = ""  # what a 4.x hub was not to hold, in words


@dataclass(frozen=True)
class VerificationReport:
    """What `psrlib.verify.verify` found.

    ``difference`` has every deviation from the seed document that nothing excuses, ``calls`` the requests per
    kind. Columns of the frames, the last two of which are empty when no model was given:

    - ``counts``: organization, archetype, metric, desired, observed (entities)
    - ``jobs``: organization, key, name, desired, status, color, run_count, driven (by a scheduled task)
    - ``engines``: of `psrlib.verify.spread.pipelines_per_engine`; ``spread``: of `spread_tests` there
    - ``distances``: to the noise model, per metric with its band; ``model_counts``: drawn from that model
    """

    subject: Subject
    results: tuple[Check, ...]
    difference: Difference
    counts: pd.DataFrame
    jobs: pd.DataFrame
    engines: pd.DataFrame
    spread: pd.DataFrame
    distances: pd.DataFrame = field(default_factory=pd.DataFrame)
    model_counts: pd.DataFrame = field(default_factory=pd.DataFrame)
    calls: Mapping[str, int] = field(default_factory=dict)
    duration_s: float = 0.0

    @property
    def consistent(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.results)

    @property
    def checks(self) -> pd.DataFrame:
        """One row per check (outcome, group, name, question, checked, failed, answer), what failed first."""
        columns = ["outcome", "group", "name", "question", "checked", "failed", "answer"]
        rows = [{**asdict(check), "outcome": check.outcome} for check in self.by_outcome()]
        return pd.DataFrame(rows, columns=columns)

    def by_outcome(self) -> list[Check]:
        """Return the checks, those that failed first, then those that could not tell."""
        return sorted(self.results, key=lambda check: OUTCOMES.index(check.outcome))

    def observed_frame(self) -> pd.DataFrame:
        """Return one row per organization: organization, archetype, observed entities per metric."""
        keys = ["organization", "archetype"]
        return self.counts.pivot(index=keys, columns="metric", values="observed").reset_index()

    @property
    def n_calls(self) -> int:
        """HTTP requests that the verification took."""
        return sum(self.calls.values())

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        subject = self.subject
        what = f"{subject.num_orgs} organizations of random seed {subject.random_seed} on {subject.hub}"
        if self.consistent:
            silent = sum(check.outcome == "could not tell" for check in self.results)
            outcomes = f"{len(self.results) - silent} checks held" + (
                f", {silent} could not tell" if silent else ""
            )
            return f"Consistent: {what} are as they should be ({outcomes}){subject.left_out}."
        failed = [check for check in self.results if not check.ok]
        reasons = "; ".join(f"{check.name.replace('_', ' ')}: {check.answer}" for check in failed[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        n = f"{len(failed)} of {len(self.results)}"
        return f"Inconsistent: {what} fail {n} checks: {reasons}{more}{subject.left_out}."

    def summary(self) -> dict[str, Any]:
        """Return verdict, subject and cost as plain values."""
        return {
            "consistent": self.consistent,
            "verdict": self.verdict,
            **asdict(self.subject),
            "calls": dict(self.calls),
            "duration_s": round(self.duration_s, 3),
        }


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
