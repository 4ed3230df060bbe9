"""Sampling a hub during a PSR: few calls, evenly spaced, a line of the recording each."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from threading import Event
from typing import Any

from psrlib.client import ControlHub
from psrlib.errors import AuthenticationError, HubError, HubUnreachableError
from psrlib.watch.recording import COUNT_JOBS, LIST_ENGINES, SERVER_INFO, Engine, Sample

WAIT_S = 5.0  # longest wait for an answer, after which the hub counts as away
FIRST_ROUND_PER_S = 5.0  # calls a second until every organization has been looked at once
# An engine polls every 5 s: one call for 40 polls, which costs the embedded hub less than 1 % of what engines
# and their pipelines do (bench/bench_watch.py).
CALLS_PER_ENGINE_S = 1 / 200
RATES_PER_S = (0.1, 5.0)  # least and most calls a second, unless told otherwise


@dataclass(frozen=True)
class Visit:
    """A call of the round: which one, and the session that makes it."""

    call: str
    session: ControlHub
    organization: str = ""


def round_of(hub: ControlHub, organizations: Sequence[str]) -> list[Visit]:
    """Return the calls of one round: for each organization server info, its jobs by status, its engines."""
    visits = []
    for organization in organizations:
        session = hub.for_organization(organization)
        visits += [
            Visit(SERVER_INFO, hub),
            Visit(COUNT_JOBS, session, organization),
            Visit(LIST_ENGINES, session, organization),
        ]
    return visits


def default_rate(n_engines: int) -> float:
    """Return the calls a second that cost a hub less than 1 % of what so many engines cost it.

    Examples
    --------
    >>> [default_rate(n) for n in (0, 200, 5000)]
    [0.1, 1.0, 5.0]
    """
    least, most = RATES_PER_S
    return min(most, max(least, CALLS_PER_ENGINE_S * n_engines))


def watch_hub(
    hub: ControlHub, organizations: Sequence[str], rate_per_s: float | None, stop: Event
) -> Iterator[Sample]:
    """Yield a sample for each call until ``stop`` is set; a hub that is away is a sample, too.

    Parameters
    ----------
    hub : ControlHub
        Session of a system administrator, with `WAIT_S` as deadline.
    organizations : sequence of str
        Looked at in turn; the first round is made at `FIRST_ROUND_PER_S` so that all is known early.
    rate_per_s : float or None
        Calls a second afterwards, evenly spaced; None for `default_rate` of the engines found.

    Raises
    ------
    AuthenticationError
        If an organization's administrator is refused in the first round.
    """
    visits = round_of(hub, organizations)
    engines: dict[str, int] = {}
    first_round = len(visits)
    due = time.monotonic()
    for number, visit in enumerate(cycle(visits)):
        if stop.wait(max(0.0, due - time.monotonic())):
            return
        sample = look(visit, is_first=number < first_round)
        if sample.engines is not None:
            engines[sample.organization] = len(sample.engines)
        yield sample
        rate = rate_per_s or default_rate(sum(engines.values()))
        pace = max(rate, FIRST_ROUND_PER_S) if number < first_round else rate
        due = max(
            due + 1 / pace, time.monotonic()
        )  # what was missed while the hub was away is not made up for


def look(visit: Visit, *, is_first: bool = False) -> Sample:
    """Make one call and return what came of it."""
    calls = visit.session.calls
    kinds, waited_s, n_bytes = calls.by_kind(), calls.waited_s, calls.received_bytes
    at, begun = time.time(), time.monotonic()
    found: dict[str, Any] = {}
    try:
        found = _ask(visit)
    except HubUnreachableError as error:
        found = {"outage": str(error)}
    except HubError as error:
        if is_first and isinstance(error, AuthenticationError):
            raise
        found = {"refused": str(error)}
    sent = calls.since(kinds)
    n_requests, n_logins = sum(sent.values()), sent.get("sessions", 0)
    waited_s = calls.waited_s - waited_s
    is_plain = n_requests == 1 and not found.keys() & {"outage", "refused"}
    return Sample(
        at=round(at, 3),
        call=visit.call,
        took_s=round(time.monotonic() - begun, 6),
        organization=visit.organization,
        answer_s=round(waited_s, 6) if is_plain else None,
        requests=n_requests,
        bytes=calls.received_bytes - n_bytes,
        waited_s=round(waited_s, 6),
        repeats=max(0, n_requests - 1 - 2 * n_logins),  # a session that ended costs a request and a login
        **found,
    )


def _ask(visit: Visit) -> dict[str, Any]:
    if visit.call == COUNT_JOBS:
        return {"jobs": visit.session.jobrunner.counts()}
    if visit.call == LIST_ENGINES:
        rows = visit.session.jobrunner.engines()
        return {"engines": {str(row["id"]): _engine(row) for row in rows}}
    visit.session.server_version()
    return {}


def _engine(row: dict[str, Any]) -> Engine:
    """Return what is kept of an engine; a hub may not tell all of it (control-hub-rest, 6.3)."""
    number = row.get("pipelinesCount")
    started = row.get("startUpTime")
    return Engine(
        responding=bool(row.get("responding")),
        pipelines=number if isinstance(number, int) else 0,
        started_at_ms=started if isinstance(started, int) else 0,
    )
