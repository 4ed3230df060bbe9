"""Create entities exactly once, even when answers get lost: look before repeating.

Why no library does this: docs/architecture.md.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from psrlib.client import LostAnswerError
from psrlib.client.wire import Json
from psrlib.errors import HubError, HubUnreachableError

log = logging.getLogger(__name__)

T = TypeVar("T")
ATTEMPTS = 10
PAUSE_S = 0.2  # before the first look after a lost answer; the hub may still be at work
LONGEST_PAUSE_S = 5.0
TAKEN = (400, 409, 422)  # how a hub may refuse an id or name that exists (unknown, section 13)


def create_named(
    wanted: Mapping[str, T],
    create: Callable[[Sequence[T]], list[Json]],
    find: Callable[[], list[Json]],
    name_of: Callable[[Json], str],
    on_lost: Callable[[], None] = lambda: None,
) -> dict[str, Json]:
    """Create entities and return the hub's record of each by name.

    Parameters
    ----------
    wanted : mapping of str
        Name -> what ``create`` takes.
    create : callable
        Creates all the entities given, in one call or one entity after the other, and returns their records.
    find : callable
        Lists the entities of this kind that the hub holds now.
    name_of : callable
        Name in a record.
    on_lost : callable
        Called when an answer was lost.

    Raises
    ------
    HubError
        If the hub refuses an entity.
    HubUnreachableError
        If answers keep getting lost.
    """
    found: dict[str, Json] = {}
    lost: HubError | None = None
    for attempt in range(ATTEMPTS):
        remaining = [item for name, item in wanted.items() if name not in found]
        try:
            records = create(remaining)
        except LostAnswerError as error:
            lost = error
            on_lost()
            log.info("%s; looking before repeating", error)
            pause(attempt)
            records = find()
        except HubError as error:
            if lost is None or error.status not in TAKEN:
                raise
            records = find()
            if not {name_of(record) for record in records} & (set(wanted) - set(found)):
                raise
        found.update(_first_by_name(records, wanted, name_of))
        if len(found) < len(wanted) and lost is None:
            found.update(_first_by_name(find(), wanted, name_of))
        if len(found) == len(wanted):
            return found
    missing = sorted(set(wanted) - set(found))
    raise HubUnreachableError(
        f"{len(missing)} of {len(wanted)} entities ({missing[0]}, ...) not there after {ATTEMPTS} attempts"
        + (f"; last answer: {lost}" if lost else "; the hub accepts them and does not list them")
    )


def pause(attempt: int) -> None:
    """Wait before looking after a lost answer, longer each time; the hub may still be at work."""
    time.sleep(min(LONGEST_PAUSE_S, PAUSE_S * 2**attempt))


def repeat_lost(call: Callable[[], T], done: Callable[[], T | None]) -> T:
    """Make a call that creates nothing named; when its answer is lost, ask ``done`` before repeating it."""
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except LostAnswerError as error:
            if attempt == ATTEMPTS - 1:
                raise
            log.info("%s; looking before repeating", error)
            pause(attempt)
            if (result := done()) is not None:
                return result
    raise AssertionError("unreachable: the last attempt returns or raises")


def _first_by_name(
    records: Sequence[Json], wanted: Mapping[str, Any], name_of: Callable[[Json], str]
) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for record in records:
        if (name := name_of(record)) in wanted:
            found.setdefault(name, record)
    return found
