"""Production stats: reading, checking, summarizing."""

from psrlib.stats.check import find_broken_rules
from psrlib.stats.reading import StatsSet, read_stats, write_stats
from psrlib.stats.summary import summarize
from psrlib.stats.summary_check import read_summary

__all__ = ["StatsSet", "find_broken_rules", "read_stats", "read_summary", "summarize", "write_stats"]
