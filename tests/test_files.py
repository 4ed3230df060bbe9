"""A file is replaced whole or not at all."""

from pathlib import Path

import pytest

from psrlib.errors import InputError
from psrlib.files import PRIVATE, new_file, replace_file


def test_a_private_file_is_private_even_over_an_open_one(tmp_path: Path) -> None:
    """The mode does not come from what was there before."""
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)
    assert replace_file(path, "new", PRIVATE) == path
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    """The temporary file is gone, whatever went wrong."""
    path = replace_file(tmp_path / "folder" / "file", b"old")
    with pytest.raises(TypeError), new_file(path) as file:
        file.write(b"half" + 1)  # type: ignore[operator]
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    """A file stands where a folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/name: cannot be written \(.+\); choose another place"):
        replace_file(tmp_path / "file" / "name", "")
