"""Recordings of a hub: JSON lines, one for each call that looked at it, appended as they come."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from psrlib.errors import InputError

FORMAT = "psr-recording/1"
SERVER_INFO, COUNT_JOBS, LIST_ENGINES = CALLS = ("server info", "count jobs", "list engines")


class Start(msgspec.Struct, tag="start", frozen=True):
    """Where a recording begins, or goes on after it was ended: what is watched, and how fast.

    ``at`` is in seconds since 1970, as in all lines; ``rate_per_s`` in calls a second, 0 where the engines
    found decide it. ``organizations`` are looked at in turn; ``seed_sha256`` is empty where no seed document
    was given.
    """

    format: str
    at: float
    hub: str
    hub_version: str
    organizations: list[str]
    rate_per_s: float
    seed_sha256: str = ""


class Engine(msgspec.Struct, array_like=True, frozen=True):
    """An engine as a hub lists it; ``started_at_ms`` since 1970, 0 where the hub does not tell."""

    responding: bool
    pipelines: int
    started_at_ms: int


class Sample(msgspec.Struct, tag="sample", frozen=True, omit_defaults=True):
    """What came of one call of `CALLS` to a hub.

    Attributes
    ----------
    at : float
        When the call began (seconds since 1970).
    call, organization : str
        Which of the calls, and whose session made it; ``server info`` is of none.
    took_s : float
        Seconds from the beginning to the answer or to giving up, with logins and repeats.
    answer_s : float or None
        Seconds that the hub took for the answer; None when the call took more than one request.
    requests, bytes, waited_s
        What the call cost: requests sent, length of the answers' bodies, seconds waited for answers.
    repeats : int
        Requests beyond the one needed, logins not counted: what was lost or refused as too much.
    jobs : dict of str to int or None
        Jobs of the organization by status, ACTIVE ones with their color (``count jobs``).
    engines : dict of str to Engine or None
        Engines of the organization by their ids (``list engines``).
    outage, refused : str
        Why there was no answer, and what the hub said when it refused; else empty.
    """

    at: float
    call: str
    took_s: float
    organization: str = ""
    answer_s: float | None = None
    requests: int = 1
    bytes: int = 0
    waited_s: float = 0.0
    repeats: int = 0
    jobs: dict[str, int] | None = None
    engines: dict[str, Engine] | None = None
    outage: str = ""
    refused: str = ""


Line = Start | Sample
_DECODER = msgspec.json.Decoder(Line)


class RecordingFile:
    """A recording to append to; each line is written at once, so that a crash costs at most the last one.

    A file that is there is gone on with when it is of the same organizations; the half line that a crash left
    is taken away.

    Raises
    ------
    InputError
        If the file is no recording or one of other organizations, or cannot be written to.
    """

    def __init__(self, path: Path, start: Start) -> None:
        if path.exists() and path.stat().st_size:
            first = next(read_lines(path))
            if isinstance(first, Start) and first.organizations != start.organizations:
                raise InputError(f"{path} is a recording of other organizations; choose another file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = open(path, "ab+", buffering=0)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error
        self._drop_half_line()
        self.append(start)

    def _drop_half_line(self) -> None:
        self._file.seek(0)
        whole = self._file.read().rfind(b"\n") + 1
        self._file.truncate(whole)

    def append(self, line: Line) -> None:
        """Write one line."""
        self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a recording, the first of which is a `Start`; half a last line is left out.

    Raises
    ------
    InputError
        If the file is missing, or a line is none of a recording.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise InputError(f"{path}: cannot read the recording ({error.strerror})") from error
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    if not lines or not _is_start(lines[0]):
        raise InputError(f'{path}: expected a recording of psr watch --record (format "{FORMAT}")')
    for number, line in enumerate(lines, start=1):
        try:
            yield _DECODER.decode(line)
        except msgspec.MsgspecError as error:
            raise InputError(f"{path}: line {number} is none of a recording ({error})") from error


def _is_start(line: bytes) -> bool:
    with suppress(msgspec.MsgspecError):
        first = _DECODER.decode(line)
        return isinstance(first, Start) and first.format == FORMAT
    return False
