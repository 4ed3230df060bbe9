"""How much one caller may ask of the hub: sizes of bodies, how many things are in them, room for large ones.

A body is refused by what it would become: three bytes of JSON are an object of a hundred in memory. The
figures leave room for what the kit itself sends (32 MB in an archive, 10 MB in a list of 10,000 jobs), and
together they keep the hub below 300 MB whoever calls.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from psrlib.hub.web.issues import IssueError, bad_request
from psrlib.hub.web.routing import Route

SMALL_BYTES = (
    64 * 1024
)  # read and decoded at once; all that an anonymous caller, or a call without a body has
JSON_BYTES = 32 * 1024 * 1024
UPLOAD_BYTES = 32 * 1024 * 1024
ANSWER_BYTES = 40 * 1024 * 1024  # of definitions; the kit asks for 50 commits of 600 kB at a time
BATCH_BYTES = 64 * 1024 * 1024  # of definitions that one call makes; the kit sends 32 MB in an archive
ROOM_BYTES = 64 * 1024 * 1024  # bodies that are not small, all at the same time
SNAPPY_RATIO = 22  # three bytes of Snappy stand for 64 at most
# Objects and lists in a body, and what is in them: while it is decoded nothing else is answered, 0.1 s for as
# many. The kit's own bodies of 32 MiB, definitions of a production hub, have 228,000 and 1,124,000.
MAX_CONTAINERS = 250_000
MAX_MEMBERS = 1_250_000
SHORT_ITEMS = 500  # in a list of a call that others wait for
MAX_ITEMS = 20_000  # in one list; a statement of SQLite takes 32,766 values
MAX_DEPTH = 100  # of a definition, which the hub itself puts into further documents


def body_limit(route: Route) -> int:
    """Return how many bytes the body of a call may have."""
    if route.access.who == "anyone" or route.signature.body is None:
        return SMALL_BYTES
    return UPLOAD_BYTES if route.signature.body is bytes else JSON_BYTES


def too_large(message: str) -> IssueError:
    """Return the answer for a body that is, or would become, too large."""
    return IssueError(413, "APP_ISSUES_07", message)


def check_members(document: bytes | bytearray, what: str) -> None:
    """Refuse a JSON text with too many members (413) before it is decoded; what is in texts counts too."""
    if document.count(b"{") + document.count(b"[") > MAX_CONTAINERS:
        raise too_large(f"{what} holds more than {MAX_CONTAINERS} objects and lists")
    if document.count(b",") > MAX_MEMBERS:
        raise too_large(f"{what} holds more than {MAX_MEMBERS} values")


def count_items(body: Any) -> int:
    """Return the length of the longest list that a body is, or has; refuse one that is too long (400)."""
    fields = (getattr(body, name) for name in body.__struct_fields__) if isinstance(body, Struct) else (body,)
    longest = max((len(value) for value in fields if isinstance(value, list)), default=0)
    if longest > MAX_ITEMS:
        raise bad_request(f"the body holds a list of {longest}; a call takes at most {MAX_ITEMS} at once")
    return longest


def check_depth(document: Any, what: str) -> None:
    """Refuse a document whose objects and lists are nested too deep (400)."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [part for value in level for part in _parts(value) if isinstance(part, dict | list)]
        if not level:
            return
    raise bad_request(f"{what} is nested more than {MAX_DEPTH} deep")


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


class Room:
    """Bytes for large bodies; who finds too few waits for those that came before."""

    def __init__(self, size: int = ROOM_BYTES) -> None:
        self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, size: int) -> None:
        """Take bytes, when everybody who came earlier has theirs."""
        if size <= self._free and not self._waiting:
            self._free -= size
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, future))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.leave(size)
            raise

    def leave(self, size: int) -> None:
        """Give bytes back."""
        self._free += size
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._free):
            wanted, future = self._waiting.popleft()
            if not future.done():
                self._free -= wanted
                future.set_result(None)
