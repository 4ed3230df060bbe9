"""Tables as they come: CSV as programs and people write it, packed or not, Parquet, Excel, DataFrames.

All become text with known column names and row numbers, so that what is wrong can be shown as it stands.
What a table has beside the counts is left out and said; what can be read in two ways is a problem.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd

from psrlib.errors import InputError
from psrlib.stats.problems import Problems

ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".xlsx")
EXTRA = "pip install 'psr-db-populator[tables]'"
SEPARATORS = (",", ";", "\t")
OTHER_SEPARATORS = ("|", ":", " ")
MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}  # at the beginning of a file
FIRST_ROW = 2  # the line after the header, as editors and spreadsheets count
MAX_RATIO = 100  # bytes that a packed byte may become
ALWAYS = 1 << 24  # bytes that any packed file may become


def find_table(folder: Path, name: str) -> Path | None:
    """Return the file of a table of a stats set, whatever its form; InputError if there are two."""
    found = [path for path in (folder / f"{name}{ending}" for ending in ENDINGS) if path.exists()]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1].name} are the same table; keep one of them")
    return found[0] if found else None


def read_table(path: Path, known: Collection[str], problems: Problems) -> pd.DataFrame:
    """Read a table as text; its index are row numbers, 2 being the first one.

    Parameters
    ----------
    known : collection of str
        Columns that the table may have; headers such as ``Active Jobs`` or ``activeJobs`` are taken for them.
    problems : Problems
        Takes what was left out, and what is wrong.

    Raises
    ------
    InputError
        If the file is missing, empty, not a table, or nothing here can read it.
    """
    if path.suffix in (".parquet", ".xlsx"):
        return from_frame(_read_binary(path), known, problems)
    lines = list(_lines(_decoded(path, problems)))
    if not lines:
        raise InputError(f"{path}: empty; expected a header and a row per organization or entity")
    separator = _find_separator(path, lines[0], known)
    try:
        numbered = list(enumerate(csv.reader(lines, delimiter=separator, strict=True), start=FIRST_ROW - 1))
    except csv.Error as error:
        raise InputError(f"{path}: not a table ({error})") from error
    (_, header), *rows = numbered
    rows = [(number, _cut(row, len(header))) for number, row in rows if any(cell.strip() for cell in row)]
    wrong = [number for number, row in rows if len(row) != len(header)]
    problems.add_numbers("", wrong, f"another number of cells than the {len(header)} of the header")
    whole = [(number, row) for number, row in rows if len(row) == len(header)]
    frame = pd.DataFrame(
        [row for _, row in whole],
        columns=range(len(header)),
        index=[number for number, _ in whole],
        dtype=str,
    )
    frame.attrs["decimal_comma"] = separator == ";"  # who separates by semicolons may write decimals so
    if frame.empty and not wrong:
        raise InputError(f"{path}: has no rows")
    return _named(frame, [cell.strip() for cell in header], known, problems)


def from_frame(frame: pd.DataFrame, known: Collection[str], problems: Problems) -> pd.DataFrame:
    """Return a DataFrame as text; see `read_table`. An index that has the name of a column is one."""
    names = [name for name in frame.index.names if name is not None and normal_name(str(name)) in known]
    frame = frame.reset_index(names) if names else frame
    header = [str(name) for name in frame.columns]
    columns = [[_text(value) for value in frame.iloc[:, place]] for place in range(len(header))]
    text = pd.DataFrame(dict(enumerate(columns)), index=range(FIRST_ROW, FIRST_ROW + len(frame)), dtype=str)
    text.attrs["decimal_comma"] = False
    blank = (text == "").all(axis=1)
    if blank.all():
        raise InputError(f"{problems.name}: has no rows")
    return _named(text[~blank], header, known, problems)


def normal_name(name: str) -> str:
    """Return a header as columns are called here.

    Examples
    --------
    >>> normal_name("Active Jobs"), normal_name("activeJobs"), normal_name(" max-users ")
    ('active_jobs', 'active_jobs', 'max_users')
    """
    return re.sub(r"[\s\-]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())).lower()


def _named(
    frame: pd.DataFrame, header: list[str], known: Collection[str], problems: Problems
) -> pd.DataFrame:
    """Return the frame with its columns named; those that programs add are left out."""
    named: dict[str, int] = {}
    for place, name in enumerate(header):
        column = normal_name(name) if normal_name(name) in known else name
        if not name or re.fullmatch(r"Unnamed: \d+", name):
            if (frame[place] != "").any():
                problems.note(f"column {place + 1} has no name, as pandas writes an index: left out")
        elif column in named:
            problems.add(column, f"stands twice, as column {named[column] + 1} and {place + 1}")
        else:
            named[column] = place
    columns = {name: frame[place].str.strip() for name, place in named.items()}
    text = pd.DataFrame(columns, index=frame.index)
    text.attrs = frame.attrs
    return text


def _cut(row: list[str], n: int) -> list[str]:
    """Return a row without blank cells beyond the header's."""
    while len(row) > n and not row[-1].strip():
        row = row[:-1]
    return row


def _text(value: object) -> str:
    return "" if value is None or value is pd.NaT or value != value else str(value)


def _lines(text: str) -> Iterator[str]:
    """Yield the lines but the first one that says ``sep=;``, which spreadsheets write."""
    for number, line in enumerate(io.StringIO(text)):
        if number or not re.fullmatch(r"sep=.\s*", line):
            yield line


def _find_separator(path: Path, header: str, known: Collection[str]) -> str:
    """Return what separates the names of the header that are known."""

    def n_known(separator: str) -> int:
        return sum(normal_name(cell.strip('"')) in known for cell in header.strip().split(separator))

    best = max(SEPARATORS, key=n_known)
    for other in OTHER_SEPARATORS:
        if n_known(other) > max(1, n_known(best)):
            raise InputError(
                f'{path}: the columns are separated by "{other}"; separate them by commas, semicolons or tabs'
            )
    return best


def _decoded(path: Path, problems: Problems) -> str:
    content = _unpacked(path)
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise InputError(f"{path}: not a table ({error})") from error
        text = content.decode("cp1252", errors="replace")
        problems.note("not UTF-8: read as Windows-1252")
    if "\0" in text:
        raise InputError(f"{path}: not a table (NUL characters); save it as CSV in UTF-8")
    return text


def _unpacked(path: Path) -> bytes:
    """Return the bytes of a file, unpacked where they are packed whatever its name, up to a bound."""
    try:
        content = path.read_bytes()
        if not content.startswith(b"\x1f\x8b"):
            return content
        bound = MAX_RATIO * len(content) + ALWAYS
        with gzip.open(io.BytesIO(content)) as file:
            unpacked = file.read(bound + 1)
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: not found; a stats set is a folder with orgs.csv or summary.json"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a table ({error})") from error
    if len(unpacked) > bound:
        raise InputError(f"{path}: unpacks to more than {MAX_RATIO} times its size and 16 MiB")
    return unpacked


def _read_binary(path: Path) -> pd.DataFrame:
    """Read a Parquet file, or the first sheet of an Excel file."""
    form = "Parquet" if path.suffix == ".parquet" else "Excel"
    try:
        read = pd.read_parquet if form == "Parquet" else pd.read_excel
        frame = pd.DataFrame(read(path))
    except ImportError as error:
        raise InputError(f"{path}: nothing here reads {form}; {EXTRA}, or save it as CSV") from error
    except (ValueError, OSError, KeyError, BadZipFile) as error:
        raise InputError(f"{path}: not {form} ({' '.join(str(error).split())})") from error
    return frame
