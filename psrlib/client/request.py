"""One call of the REST API and its answer, as records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psrlib.client.shapes import Read, anything

RECORD_BYTES = 4_000_000  # longest answer that is one record; definitions are its largest part


@dataclass(frozen=True)
class Upload:
    """A file sent as multipart part ``file``."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Request:
    """One call of the REST API, independent of the session that sends it.

    Parameters
    ----------
    method, path : str
        The path is sent literally, below the address of the hub.
    kind : str
        What the request is counted as, such as ``users``.
    query : mapping of str
        Entries that are None are left out; booleans are sent as words.
    body : object
        Sent as JSON; bytes are sent as they are; None sends no body.
    upload : Upload or None
        A file to send in place of a body.
    repeatable : bool
        Whether carrying it out twice is the same as once. If not, only answers that prove it was not carried
        out (429, no connection) are followed by a repeat.
    headers : mapping of str
        Sent with the request; sessions add theirs.
    deadline_s : float or None
        Longest time for this call with all its repeats, if other than the client's.
    read : callable
        Turns the body of the answer into what is wanted of it, or raises ValueError: then it is no answer.
    may_be_empty : bool
        Whether a hub is believed that answers with nothing several times in a row.
    max_bytes : int
        Longest body of the answer.
    """

    method: str
    path: str
    kind: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    upload: Upload | None = None
    repeatable: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float | None = None
    read: Read = anything
    may_be_empty: bool = False
    max_bytes: int = RECORD_BYTES

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """An answer with a 2xx status: what its call reads in the body, headers and cookies."""

    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
