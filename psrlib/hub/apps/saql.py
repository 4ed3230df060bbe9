"""Searches of release 4: jobs, templates, draft runs, pipelines, fragments and sequences by their names."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, select

from psrlib.hub.apps import sequencing
from psrlib.hub.apps.jobrunner.jobs import DRAFT_RUNS, JOBS
from psrlib.hub.apps.jobrunner.records import show_jobs
from psrlib.hub.apps.jobrunner.status import JobStatusJson, show_runs
from psrlib.hub.apps.pipelinestore.records import show_latest
from psrlib.hub.security.acl import permitted
from psrlib.hub.store.queries import Query, Row, of_organization
from psrlib.hub.store.schema.automation import sequences
from psrlib.hub.store.schema.design import pipelines
from psrlib.hub.store.schema.execution import jobs, runs
from psrlib.hub.web.call import Call
from psrlib.hub.web.issues import bad_request
from psrlib.hub.web.records import Listed, Listing, Paging
from psrlib.hub.web.routing import USER, App

CHOICE = (
    'one comparison or several joined by "and" or ";": name or id, == a value, in quotes or not, * for any '
    "characters; everything else is refused with 400"
)
jobrunner, pipelinestore, sequencer = App("jobrunner"), App("pipelinestore"), App("sequencing")
_JOBS, _PIPELINES = "/jobrunner/rest/v1/saql/jobs/search", "/pipelinestore/rest/v1/saql/pipelines/search"
TERM = re.compile(r"""\s*(\w+)\s*==\s*(?:"([^"]*)"|'([^']*)'|([^\s;"']+))\s*""")
JOIN = re.compile(r"\s*(?:;|and\b)\s*", re.IGNORECASE)


class Search(Listing):
    """What is searched."""

    search: str | None = None


def conditions(text: str, columns: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[bool]]:
    """Return the conditions of a search.

    Raises
    ------
    IssueError
        400 for one that is no conjunction of comparisons with ``==``, or about another field.

    Examples
    --------
    >>> [str(each) for each in conditions("name=='a'", {"name": jobs.c.name})]
    ['jobs.name = :name_1']
    """
    found: list[ColumnElement[bool]] = []
    at = 0
    while True:
        term = TERM.match(text, at)
        if term is None or term[1] not in columns:
            fields = " or ".join(columns)
            raise bad_request(f"search '{text[:200]}': expected {fields} == a value, joined by and")
        column, value = columns[term[1]], term[2] or term[3] or term[4] or ""
        if "*" in value:
            escaped = re.sub(r"([\\%_])", r"\\\1", value).replace("*", "%")
            found.append(column.like(escaped, escape="\\"))
        else:
            found.append(column == value)
        join = JOIN.match(text, term.end())
        if join is None or join.end() == term.end():
            if term.end() < len(text):
                raise bad_request(
                    f"search '{text[:200]}': not understood from '{text[term.end() :][:40]}' on"
                )
            return found
        at = join.end()


def _serve(app: App, path: str, query: Query, table: Any, show_all: Callable[..., Any]) -> None:
    columns = {"name": table.c.name, "id": table.c.id}

    def search_all(call: Call, search: Search) -> Listed[Any]:
        text = (search.search or "").strip()
        found = query.where(*conditions(text, columns)) if text else query

        def show(rows: list[Row]) -> list[Any]:
            return list(show_all(call, rows))

        order = {"NAME": table.c.name, "LAST_MODIFIED_ON": table.c.last_modified_on}
        return call.page(search, found, order, show_all=show, wrap=True)

    search_all.__doc__ = f"Search {path.rpartition('/')[2] if path.count('/') > 6 else table.name}."
    app.route("GET", path, USER, release=4, choice=CHOICE)(search_all)


class RunSearch(Paging):
    """Which runs of a job are searched."""

    search: str | None = None


@jobrunner.route(
    "GET", f"{_JOBS}/{{job}}/runs", USER, release=4, choice="newest first; status is searched, as names are"
)
def search_runs(call: Call, job: str, search: RunSearch) -> Listed[JobStatusJson]:
    """Search the runs of a job."""
    row = permitted(call, jobs, job, "Job", "READ")
    text = (search.search or "").strip()
    wanted = conditions(text, {"status": runs.c.status}) if text else []
    query = Query(select(runs).where(runs.c.job_id == row.id, *wanted), kept=False)
    order = {"RUN_COUNT": runs.c.run_count}
    return call.page(
        search, query, order, show_all=lambda found: show_runs(call, found), wrap=True, newest_first=True
    )


_serve(jobrunner, _JOBS, JOBS.where(~jobs.c.template), jobs, show_jobs)
_serve(jobrunner, f"{_JOBS}/templates", JOBS.where(jobs.c.template), jobs, show_jobs)
_serve(jobrunner, f"{_JOBS}/draftRuns", DRAFT_RUNS, jobs, show_jobs)
_DESIGNS = of_organization(pipelines)
_serve(pipelinestore, _PIPELINES, _DESIGNS.where(~pipelines.c.fragment), pipelines, show_latest)
_serve(pipelinestore, f"{_PIPELINES}/fragments", _DESIGNS.where(pipelines.c.fragment), pipelines, show_latest)
_serve(
    sequencer,
    "/sequencing/rest/v1/saql/sequencing/search",
    of_organization(sequences),
    sequences,
    sequencing.show_sequences,
)
