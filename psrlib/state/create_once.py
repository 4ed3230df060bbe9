"""Create entities exactly once, even when answers get lost: look before repeating.

Why no library does this: docs/architecture.md.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from psrlib.client import LostAnswerError
from psrlib.client.wire import Json
from psrlib.errors import AuthenticationError, HubError, HubUnreachableError
from psrlib.words import KINDS

log = logging.getLogger(__name__)

T = TypeVar("T")
SHOWN = 3  # names of entities in an error
ATTEMPTS = 10
PAUSE_S = 0.2  # before the first look after a lost answer; the hub may still be at work
LONGEST_PAUSE_S = 5.0
# how a hub may refuse an id or name that exists (unknown, section 13); 200: with words in the answer
TAKEN = (200, 400, 409, 422)


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


@contextmanager
def naming(organization: str, kind: str, names: Iterable[str]) -> Iterator[None]:
    """Say in a refusal which entities of which organization were refused."""
    try:
        yield
    except (HubUnreachableError, AuthenticationError):
        raise
    except HubError as error:
        quoted = [f'"{name}"' for name in names]
        more = f" and {len(quoted) - SHOWN} more" if len(quoted) > SHOWN else ""
        what = KINDS.get(kind, kind.removesuffix("s")) if len(quoted) == 1 else kind.replace("_", " ")
        message = f"{organization}: {what} {', '.join(quoted[:SHOWN])}{more}: {error}"
        raise HubError(message, error.status, error.codes) from error


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
