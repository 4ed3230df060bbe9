"""Plots of the notebooks and the report: DataFrame and Axes in, Axes out; units on axes."""

from psrlib.plots.background import watch_pictures
from psrlib.plots.content import concentration, shares
from psrlib.plots.distributions import distances, ecdf, ecdf_panels
from psrlib.plots.entities import agreement, desired_and_observed, differences, organization_sizes
from psrlib.plots.look import new_axes, style
from psrlib.plots.review import review
from psrlib.plots.running import job_status, jobs_per_engine
from psrlib.plots.tables import table

__all__ = [
    "agreement",
    "concentration",
    "desired_and_observed",
    "differences",
    "distances",
    "ecdf",
    "ecdf_panels",
    "job_status",
    "jobs_per_engine",
    "new_axes",
    "organization_sizes",
    "review",
    "shares",
    "style",
    "table",
    "watch_pictures",
]
