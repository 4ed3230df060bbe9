"""The page and the JSON of a comparison of two backgrounds."""

from collections.abc import Mapping
from pathlib import Path

import jinja2
import orjson

from psrlib.files import replace_file
from psrlib.verify.save import TEMPLATES as SHARED
from psrlib.watch.background import Background
from psrlib.watch.compare import EXCESS_SHARE, Comparison
from psrlib.watch.statistics import BATCHES, CONFIDENCE

TEMPLATES = Path(__file__).parent / "templates"


def describe(one: Background) -> list[str]:
    """Return what a recording tells, in a few lines."""
    now = one.levels.iloc[-1].dropna()
    jobs = ", ".join(f"{now[status]:,.0f} {status}" for status in one.statuses if now.get(status))
    outages = f"{len(one.outages)}, {one.outage_s:.0f} s in all" if one.outages else "none"
    return [
        f"watched   {one.start.hub} for {one.watched_s / 60:.1f} min, {len(one.start.organizations)} "
        f"organizations {one.n_rounds:.1f} times",
        f"cost      {cost(one)}",
        f"jobs      {jobs or 'not all organizations were looked at'}",
        f"engines   {now.get('responding', 0):,.0f} of {now.get('engines', 0):,.0f} respond, "
        f"{len(one.restarts)} started again, {now.get('pipelines', 0):,.0f} pipelines run",
        f"outages   {outages}",
        f"refused   {len(one.refused)} calls" + (f": {one.refused[0]}" if one.refused else ""),
    ]


def cost(one: Background) -> str:
    """Return what a recording cost the hub, in words."""
    calls, n_bytes, hub_s = (one.cost[name] for name in ("calls", "bytes", "hub_s"))
    rate = calls / one.watched_s if one.watched_s else 0.0
    return (
        f"{calls:,.0f} calls, {rate:.2f} a second, {n_bytes / 1000:,.0f} kB, {hub_s:.1f} s waited for answers"
    )


def number(value: float) -> str:
    """Return a number as it is read.

    Examples
    --------
    >>> [number(value) for value in (2019.0, 85.137, 0.0, float("nan"))]
    ['2,019', '85.1', '0', '–']
    """
    if value != value:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(comparison: Comparison) -> str:
    """Return a line for each aspect, what differs first."""
    width = max(len(aspect.name) for aspect in comparison.aspects)
    return "\n".join(
        f"{aspect.outcome:14}  {aspect.name:{width}}  {aspect.finding}" for aspect in comparison.by_outcome()
    )


def save_comparison(comparison: Comparison, directory: Path, pictures: Mapping[str, str]) -> Path:
    """Write ``background.json`` and ``background.html`` into a directory; return the HTML's path.

    ``pictures`` are SVG elements by their captions (`psrlib.plots.watch_pictures`).

    Raises
    ------
    InputError
        If the directory cannot be made or written to.
    """
    replace_file(directory / "background.json", to_json(comparison))
    loader = jinja2.FileSystemLoader([TEMPLATES, SHARED])
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("background.html").render(
        comparison=comparison,
        pictures=pictures,
        cost=cost,
        number=number,
        batches=BATCHES,
        confidence=CONFIDENCE,
        excess=EXCESS_SHARE,
    )
    return replace_file(directory / "background.html", page)


def to_json(comparison: Comparison) -> bytes:
    """Return everything of a comparison but the series and the plots."""
    return orjson.dumps(comparison.summary(), option=orjson.OPT_INDENT_2) + b"\n"
