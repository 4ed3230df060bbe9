"""Files that are replaced whole: whoever reads one finds the old content or the new one, never a part."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from psrlib.errors import InputError

PRIVATE = 0o600  # mode of a file that only its owner may read


@contextmanager
def new_file(path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path`` that becomes ``path`` when the block ends well, or disappears.

    Parameters
    ----------
    path : Path
        The file; its folder is made when it lacks.
    mode : int or None
        Access rights; None takes those of any new file. Until the end only the owner may read it.

    Raises
    ------
    InputError
        If the folder can't be made or written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        try:
            with open(name, "wb", buffering=1 << 20) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # else a power cut could leave the new name with no content
            os.chmod(name, _usual_mode() if mode is None else mode)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def replace_file(path: Path, content: str | bytes, mode: int | None = None) -> Path:
    """Write a file completely or not at all, and return its path; see `new_file`."""
    with new_file(path, mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return path


def _usual_mode() -> int:
    umask = os.umask(0)  # it can only be read by setting it
    os.umask(umask)
    return 0o666 & ~umask
