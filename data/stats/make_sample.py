"""Write the synthetic sample stats set: ``python data/stats/make_sample.py``."""

from psrlib import paths
from psrlib.stats import write_stats
from psrlib.stats.sample import make_sample

write_stats(make_sample(), paths.STATS / "sample")
