"""Verification: does a hub hold what the seed document says, does it run, does it look like production?"""

from psrlib.verify.report import Subject, VerificationReport
from psrlib.verify.verification import judge_state, verify

__all__ = ["Subject", "VerificationReport", "judge_state", "verify"]
