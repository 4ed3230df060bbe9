"""Tables as production gives them: read as they are meant, or refused, never silently wrong."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from psrlib.errors import InputError
from psrlib.stats import StatsSet, read_stats

TABLE = pd.DataFrame(
    {
        "org": ["a", "b", "c", "d"],
        "users": [3, 1234, 5, 8],
        "pipelines": [4, 10, 0, 7],
        "jobs": [5, 20000, 0, 9],
        "subscriptions_enabled": [1, 0, 1, 1],
        "max_users": [10, -1, 50, -1],
    }
)
TEXT = TABLE.to_csv(index=False)


def read(folder: Path, content: str | bytes, name: str = "orgs.csv") -> StatsSet:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_stats(folder)


def spelled(**columns: list[Any]) -> str:
    """Return the table as CSV with some columns spelled otherwise."""
    return TABLE.assign(**columns).to_csv(index=False)


FORMS: dict[str, str | bytes] = {
    "plain": TEXT,
    "semicolons": TEXT.replace(",", ";"),
    "semicolons as a spreadsheet writes them": "sep=;\r\n" + TEXT.replace(",", ";").replace("\n", "\r\n"),
    "tabs": TEXT.replace(",", "\t"),
    "UTF-8 with a mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "UTF-16": TEXT.replace(",", "\t").encode("utf-16"),
    "gzip": gzip.compress(TEXT.encode()),
    "title case": TEXT.replace("users", "Users").replace("subscriptions_enabled", "Subscriptions Enabled"),
    "camel case": TEXT.replace("max_users", "maxUsers").replace("org", "Org"),
    "upper case and blanks": TEXT.replace("org,users", " ORG , USERS "),
    "truth values": spelled(subscriptions_enabled=[True, False, True, True]),
    "yes and no": spelled(subscriptions_enabled=["yes", "No", "YES", "yes"]),
    "thousands": spelled(users=["3", "1,234", "5", "8"], jobs=["5", "20'000", "0", "9"]),
    "decimals of pandas": spelled(users=[3.0, 1234.0, 5.0, 8.0]),
    "an empty limit": spelled(max_users=["10", "", "50", ""]),
    "a limit without value": spelled(max_users=["10", "NaN", "50", "-1.0"]),
    "blank last rows": TEXT + "\n,,,,,\n  \n",
    "a blank row in between": TEXT.replace("b,", "\nb,"),
    "empty cells beyond the header": TEXT.replace("\na", "\na").replace("-1\n", "-1,,\n"),
    "quoted": '"' + TEXT.strip().replace(",", '","').replace("\n", '"\n"') + '"\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same(tmp_path: Path, form: str) -> None:
    """Separators, encodings, headers, truth values and separators of thousands do not matter."""
    stats = read(tmp_path, FORMS[form])
    pd.testing.assert_frame_equal(stats.organizations, TABLE, check_dtype=False)


def total_row(key: str) -> str:
    return TEXT + f"{key},1250,21,20014,3,\n"


LEFT_OUT: dict[str, tuple[str, str]] = {
    "an index of pandas": (TABLE.to_csv(), "column 1 has no name"),
    "an index read and written again": (
        TABLE.reset_index().rename(columns={"index": "Unnamed: 0"}).to_csv(index=False),
        "column 1 has no name",
    ),
    "numbers of rows": (
        TABLE.assign(nr=[1, 2, 3, 4]).to_csv(index=False),
        "column nr: left out, it numbers the rows",
    ),
    "a date": (
        TABLE.assign(created=["2024-01-01", "2024-02-01", "2020-01-01", "2024-05-05"]).to_csv(index=False),
        "column created: left out, it holds texts or dates",
    ),
    "a text": (
        TABLE.assign(region=list("wxyz")).to_csv(index=False),
        "column region: left out, it holds texts",
    ),
    "milliseconds": (
        TABLE.assign(last_login=[17 * 10**11] * 4).to_csv(index=False),
        "column last_login: left out, its numbers are no counts",
    ),
    "shares": (
        TABLE.assign(load=[0.125, 0.5, 0.25, 0.75]).to_csv(index=False),
        "column load: left out, it holds fractions",
    ),
    "nothing": (TABLE.assign(note="").to_csv(index=False), "column note: left out, it has no values"),
    "a TOTAL row": (total_row("TOTAL"), 'row 6 ("TOTAL") is the sum of the others: left out'),
    "sums without a name": (total_row(""), 'row 6 ("") is the sum of the others: left out'),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_no_count_is_left_out_and_said(tmp_path: Path, case: str) -> None:
    """Tables hold indices, dates, texts and sums too; none becomes a metric or an organization."""
    content, words = LEFT_OUT[case]
    stats = read(tmp_path, content)
    pd.testing.assert_frame_equal(stats.organizations, TABLE, check_dtype=False)
    assert len(stats.notes) == 1
    assert stats.notes[0].startswith(f"orgs.csv: {words}")


PROBLEMS: dict[str, tuple[str | bytes, str]] = {
    "a wrong separator": (TEXT.replace(",", "|"), r'the columns are separated by "\|"; separate them by'),
    "decimals or thousands": (
        TEXT.replace(",", ";").replace("1234", "1.234"),
        "users: thousands or decimals.* in row 3",
    ),
    "a comma among semicolons": (
        TEXT.replace(",", ";").replace("1234", "1,234"),
        "users: thousands or decimals.* in row 3",
    ),
    "a point": (TEXT.replace("1234", "1.234"), "users: thousands or decimals.* in row 3"),
    "an organization called TOTAL": (
        TEXT + "Total,1,1,1,1,\n",
        'row 6 is called "Total"; remove it',
    ),
    "sums that do not say so": (total_row("e"), r'row 6 \("e"\) is the sum of the others; remove it'),
    "a cell too much": (TEXT.replace("b,1234", "b,1234,9"), "another number of cells than the 6 .* in row 3"),
    "a cell too few": (TEXT.replace("b,1234,", "b,"), "another number of cells than the 6 .* in row 3"),
    "a column twice": (TEXT.replace("pipelines", "Users"), "users: stands twice, as column 2 and 3"),
    "a text among counts": (TEXT.replace("1234", "many"), "users: not a number in row 3"),
    "no truth value": (spelled(subscriptions_enabled=[1, 2, 1, 1]), "neither 0 nor 1 in row 3"),
    "NUL": (TEXT.encode("utf-16-le"), "NUL characters"),
    "a broken gzip": (gzip.compress(TEXT.encode())[:-9], "not a table"),
    "a bomb": (gzip.compress(bytes(1 << 25)), "unpacks to more than 100 times its size"),
    "an open quote": (TEXT.replace("b,", '"b,'), "not a table"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_can_be_read_in_two_ways_is_refused(tmp_path: Path, case: str) -> None:
    """The error names column and row, and a wrong separator is called that."""
    content, words = PROBLEMS[case]
    with pytest.raises(InputError, match=words):
        read(tmp_path, content)


def test_rows_keep_their_numbers(tmp_path: Path) -> None:
    """Blank rows count, as in the editor that shows the file."""
    with pytest.raises(InputError, match="users: not a number in row 5"):
        read(tmp_path, TEXT.replace("b,1234", "\n\nb,x"))


def test_another_encoding_is_said(tmp_path: Path) -> None:
    """Keys with accents from an old spreadsheet."""
    stats = read(tmp_path, TEXT.replace("b,", "zürich,").encode("cp1252"))
    assert stats.organizations["org"].tolist() == ["a", "zürich", "c", "d"]
    assert stats.notes == ["orgs.csv: not UTF-8: read as Windows-1252"]


def test_one_table_has_one_file(tmp_path: Path) -> None:
    """Of two forms nobody knows which is the newer one."""
    read(tmp_path, TEXT)
    with pytest.raises(InputError, match=r"orgs\.csv and orgs\.csv\.gz are the same table"):
        read(tmp_path, gzip.compress(TEXT.encode()), "orgs.csv.gz")


@pytest.mark.parametrize(
    ("ending", "reader", "word"), [("parquet", "read_parquet", "Parquet"), ("xlsx", "read_excel", "Excel")]
)
def test_parquet_and_excel_need_their_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, reader: str, word: str
) -> None:
    """Where it is installed the table is read; where it is not, the error names the extra."""
    monkeypatch.setattr(pd, reader, lambda path: TABLE)
    assert read(tmp_path, b"x", f"orgs.{ending}").organizations["users"].tolist() == TABLE["users"].tolist()

    def missing(path: Path) -> pd.DataFrame:
        raise ImportError("no reader")

    monkeypatch.setattr(pd, reader, missing)
    with pytest.raises(
        InputError, match=rf"nothing here reads {word}; pip install 'psr-db-populator\[tables\]'"
    ):
        read_stats(tmp_path)


@pytest.mark.parametrize("ending", ["parquet", "xlsx"])
def test_parquet_and_excel_files_are_read(tmp_path: Path, ending: str) -> None:
    """With the readers of the extra, as CSV files are."""
    write = TABLE.to_parquet if ending == "parquet" else TABLE.to_excel
    write(tmp_path / f"orgs.{ending}", index=False)
    pd.testing.assert_frame_equal(read_stats(tmp_path).organizations, TABLE, check_dtype=False)


def test_frames_are_checked_as_files_are() -> None:
    """Index, truth values, missing limits and dates of a DataFrame."""
    frame = TABLE.assign(
        subscriptions_enabled=[True, False, True, True],
        max_users=[10, None, 50, float("nan")],
        created=pd.Timestamp("2024-01-01"),
    )
    pipelines = pd.DataFrame({"Org": ["a", "b"], "Stages": [3.0, 4.0]})
    stats = StatsSet.from_frames(frame.set_index("org"), pipelines=pipelines)
    pd.testing.assert_frame_equal(stats.organizations, TABLE, check_dtype=False)
    assert stats.details["pipelines"]["stages"].tolist() == [3, 4]
    assert stats.notes == ["orgs: column created: left out, it holds texts or dates"]
    with pytest.raises(InputError, match="orgs: users: less than 0 in row 2"):
        StatsSet.from_frames(TABLE.assign(users=[-1, 1, 1, 1]))
    with pytest.raises(InputError, match="unknown table cats"):
        StatsSet.from_frames(TABLE, cats=TABLE)
