"""What a Control Hub has of what the populator needs: one look before a first populate."""

from psrlib.doctor.examination import examine
from psrlib.doctor.report import Finding, Report, learned

__all__ = ["Finding", "Report", "examine", "learned"]
