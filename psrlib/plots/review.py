"""The plots of a verification, together."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psrlib.plots.distributions import distances, ecdf_panels
from psrlib.plots.entities import agreement, desired_and_observed, differences, organization_sizes
from psrlib.plots.running import job_status, jobs_per_engine
from psrlib.plots.svg import as_svg
from psrlib.plots.trend import trend
from psrlib.verify import VerificationReport

SHOWN = ("users", "pipelines", "jobs")


def review(report: VerificationReport, runs: pd.DataFrame | None = None) -> dict[str, str]:
    """Return the review's plots as SVG elements by caption, in order, for `psrlib.verify.save_report`.

    With several ``runs`` (`psrlib.verify.trend`) their trend comes first.
    """
    reference = None if report.model_counts.empty else report.model_counts
    drawings: dict[str, Callable[[], Axes | Figure]] = {
        "Entities meant and found, by kind": lambda: desired_and_observed(report.counts),
        "Deviations by kind": lambda: differences(report.difference.frame()),
        "Every organization and kind: how many it holds": lambda: agreement(report.counts),
        "Status of every job": lambda: job_status(report.jobs),
        "Pipelines on engines without specific labels": lambda: jobs_per_engine(report.engines),
        "What each organization holds": lambda: organization_sizes(report.counts),
        "Organizations beside the noise model": lambda: ecdf_panels(
            report.observed_frame(), SHOWN, reference=reference
        ),
    }
    if reference is not None:
        drawings["Distance to the noise model, by metric"] = lambda: distances(report.distances)
    if runs is not None:
        drawings = {
            "Verifications of this seed document, one after the other": lambda: trend(runs)
        } | drawings
    pictures: dict[str, str] = {}
    for caption, draw in drawings.items():
        drawn = draw()
        figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
        assert figure is not None
        plt.close(figure)  # else a notebook would show them all again
        pictures[caption] = as_svg(figure)
    return pictures
