"""Checks of stats sets."""

from pathlib import Path

import pandas as pd
import pytest

from psrlib.errors import InputError
from psrlib.stats import find_broken_rules, read_stats

HEADER = "org,users,engines,pipelines,jobs,active_jobs,scheduled_tasks,subscriptions"
GOOD = ["a,3,1,4,5,2,0,1", "b,1,0,0,0,0,0,0"]


def organizations(path: Path) -> pd.DataFrame:
    return read_stats(path.parent).organizations


def write(folder: Path, rows: list[str], header: str = HEADER, name: str = "orgs.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,many,1,4,5,2,0,1", GOOD[1]], "users: not a number in row 2"),
        (["a,-1,1,4,5,2,0,1", GOOD[1]], "users: less than 0 in row 2"),
        (["a,3,1,4,5,6,0,1", GOOD[1]], "active_jobs: more active jobs than jobs in row 2"),
        ([GOOD[0], "a,1,0,0,0,0,0,0"], "org: the key occurs again in row 3"),
        ([GOOD[0], "b,1,NaN,0,0,0,0,0"], "engines: no value in row 3"),
        ([GOOD[0], "b,1,,0,0,0,0,0"], "engines: no value in row 3"),
        ([GOOD[0], "b,1.5,0,0,0,0,0,0"], "users: not a whole number in row 3"),
        ([GOOD[0], "b,9999999999,0,0,0,0,0,0"], "users: more than 100000 in row 3"),
        ([GOOD[0]], "at least 2 are needed"),
    ],
    ids=["text", "negative", "more-active", "twice", "nan", "empty", "fraction", "huge", "one-organization"],
)
def test_a_wrong_row_is_named(tmp_path: Path, rows: list[str], message: str) -> None:
    """The error names the column, what is wrong and the row."""
    with pytest.raises(InputError, match=message):
        organizations(write(tmp_path, rows))


def test_every_problem_of_a_file_is_listed_at_once(tmp_path: Path) -> None:
    """Faults in three rows and a missing column make one error, with those of another table."""
    write(tmp_path, ["a,0", "z,3"], "org,stages", "pipelines.csv")
    rows = ["a,x,1,4,5,2,0", "a,1,-2,0,0,0,0", "c,1,1,1,1,5,0"]
    with pytest.raises(InputError) as raised:
        organizations(
            write(tmp_path, rows, HEADER.removesuffix(",subscriptions").replace("pipelines", "pipes"))
        )
    text = str(raised.value)
    assert "7 problem(s)" in text
    for part in (
        "orgs.csv: pipelines: the column is missing",
        "users: not",
        "engines: less",
        "occurs again",
        "more active",
        "pipelines.csv: stages: less than 1 in row 2",
        "pipelines.csv: org: an organization that orgs lacks in row 3",
    ):
        assert part in text


def test_many_wrong_rows_are_counted(tmp_path: Path) -> None:
    """The first five rows are named, the others counted."""
    rows = [f"o{i},-1,1,4,5,2,0,1" for i in range(9)]
    with pytest.raises(InputError, match="row 2, 3, 4, 5, 6 and 4 more"):
        organizations(write(tmp_path, rows))


@pytest.mark.parametrize(("content", "message"), [("", "empty"), (HEADER + "\n", "has no rows")])
def test_an_empty_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """Neither nothing nor a header alone is a stats set."""
    (tmp_path / "orgs.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_stats(tmp_path)


def test_a_missing_folder_or_file_is_refused(tmp_path: Path) -> None:
    """The error says what a stats set is."""
    with pytest.raises(InputError, match="not a folder"):
        read_stats(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"orgs\.csv"):
        read_stats(tmp_path)


def test_an_unknown_column_is_a_further_count(tmp_path: Path) -> None:
    """A column that the schema lacks is modelled like any other count."""
    rows = [row + ",7" for row in GOOD]
    write(tmp_path, rows, HEADER + ",fragments")
    assert read_stats(tmp_path).counts[-1] == "fragments"


def test_details_must_name_known_organizations(tmp_path: Path) -> None:
    """A pipeline of an unknown organization is a problem with its row; a strange column is left out."""
    write(tmp_path, GOOD)
    write(tmp_path, ["a,4", "z,3"], "org,stages", "pipelines.csv")
    with pytest.raises(InputError, match="an organization that orgs lacks in row 3"):
        read_stats(tmp_path)
    write(tmp_path, ["a,4,1"], "org,stages,colour", "pipelines.csv")
    assert read_stats(tmp_path).notes == [
        "pipelines.csv: column colour: left out; known are org, stages, commits, labels, parameters,"
        " definition_bytes, owner"
    ]


def test_rows_that_break_rules_are_counted_not_refused(tmp_path: Path) -> None:
    """Production may hold tasks without jobs or more users than a limit lowered later."""
    frame = organizations(write(tmp_path, ["a,9,1,4,0,0,2,1,5", "b,1,0,0,3,0,0,0,-1"], HEADER + ",max_users"))
    assert find_broken_rules(frame) == {
        "scheduled tasks without jobs": 1,
        "subscriptions without jobs": 1,
        "jobs without pipelines": 1,
        "more users than max_users": 1,
    }
