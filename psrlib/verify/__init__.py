"""Verification: does a hub hold what the seed document says, does it run, does it look like production?"""

from psrlib.verify.compare import compare_reports, load_report, trend
from psrlib.verify.report import ReportChanges, Subject, VerificationReport
from psrlib.verify.review import apply_to_run, find_model, review_run
from psrlib.verify.save import save_report
from psrlib.verify.verification import judge_state, verify

__all__ = [
    "ReportChanges",
    "Subject",
    "VerificationReport",
    "apply_to_run",
    "compare_reports",
    "find_model",
    "judge_state",
    "load_report",
    "review_run",
    "save_report",
    "trend",
    "verify",
]
