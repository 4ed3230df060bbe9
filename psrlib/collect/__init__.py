"""Collecting: from a live Control Hub to an anonymized stats set that a noise model can be fitted to."""

from psrlib.collect.collection import Collection, check_output, collect_stats
from psrlib.collect.run import collect_run
from psrlib.collect.sql import collect_sql, load_mapping

__all__ = ["Collection", "check_output", "collect_run", "collect_sql", "collect_stats", "load_mapping"]
