"""Verification: does a hub hold what the seed document says, does it run, does it look like production?"""

from psrlib.verify.report import Subject, VerificationReport
from psrlib.verify.review import find_model, open_run, review_run
from psrlib.verify.verification import judge_state, verify

__all__ = ["Subject", "VerificationReport", "find_model", "judge_state", "open_run", "review_run", "verify"]
