"""Recordings are appended line by line and survive a crash."""

from pathlib import Path

import msgspec
import pytest

from psrlib.errors import InputError
from psrlib.watch.recording import FORMAT, RecordingFile, Sample, Start, read_lines

START = Start(FORMAT, 1000.0, "http://hub", "3.22.2", ["org-0001"], 1.0)
SAMPLE = Sample(at=1001.0, call="server info", took_s=0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recording of one sample."""
    file = RecordingFile(tmp_path / "a.jsonl", START)
    file.append(SAMPLE)
    file.close()
    return tmp_path / "a.jsonl"


def test_a_line_is_on_disk_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    """Nothing waits in a buffer for an orderly end."""
    file = RecordingFile(tmp_path / "a.jsonl", START)
    file.append(SAMPLE)
    assert list(read_lines(tmp_path / "a.jsonl")) == [START, SAMPLE]
    file.close()


@pytest.mark.parametrize("n_bytes", [1, 20, 60])
def test_half_a_last_line_is_left_out_and_gone_on_after(path: Path, n_bytes: int) -> None:
    """What a crash cut off is lost, and nothing else."""
    path.write_bytes(path.read_bytes()[:-n_bytes])
    assert list(read_lines(path)) == [START]
    file = RecordingFile(path, START)
    file.append(SAMPLE)
    file.close()
    assert list(read_lines(path)) == [START, START, SAMPLE]


def test_a_broken_line_in_the_middle_is_named(path: Path) -> None:
    """That is no crash of the recorder."""
    path.write_bytes(
        path.read_bytes() + b'{"type":"sample","at":"noon"}\n' + msgspec.json.encode(SAMPLE) + b"\n"
    )
    with pytest.raises(InputError, match=r"a\.jsonl: line 3 is none of a recording .*`float`"):
        list(read_lines(path))


@pytest.mark.parametrize("content", ["", "hello\n", '{"type":"start"}\n', '{"at":1}\n'])
def test_another_file_is_no_recording(tmp_path: Path, content: str) -> None:
    """The message says what makes one."""
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=r"expected a recording of psr watch --record"):
        list(read_lines(path))


def test_a_recording_of_other_organizations_is_not_gone_on_with(path: Path) -> None:
    """Its totals would be of neither."""
    with pytest.raises(InputError, match=r"is a recording of other organizations"):
        RecordingFile(path, msgspec.structs.replace(START, organizations=["org-0002"]))
    assert list(read_lines(path)) == [START, SAMPLE]


def test_a_file_that_cannot_be_written_is_one_sentence(path: Path) -> None:
    """A file is where a folder is wanted."""
    with pytest.raises(InputError, match="cannot be written"):
        RecordingFile(path / "b.jsonl", START)
