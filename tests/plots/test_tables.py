"""Tables of the notebooks."""

import re

import pandas as pd
import pytest

from psrlib.plots import table


@pytest.mark.parametrize("empty", [pd.DataFrame(), pd.DataFrame(columns=["a", "b"]), {}])
def test_a_table_without_rows_says_none(empty: object) -> None:
    """On the page and as text."""
    assert repr(table(empty)) == "none"  # type: ignore[arg-type]
    assert "none" in table(empty)._repr_html_()  # type: ignore[arg-type]


def test_long_words_are_whole_and_may_be_broken() -> None:
    """pandas would cut them at 50 characters, and the page at its edge."""
    answer = "9 of 9 pipelines run on an engine that carries the labels of their job " * 3
    html = table(pd.DataFrame({"n_checked": [1], "answer": [answer]}))._repr_html_()
    assert answer in html
    assert "white-space: normal" in html
    assert "max-width: 100%" in html
    assert "n checked" in html


def test_what_is_nested_is_told_in_words() -> None:
    """No braces, quotes and brackets of Python."""
    shown = table(
        {"errors": {}, "pipelines": {"RUNNING": 3}, "refusals": [], "running": True, "cpu_s": 0.12345}
    )
    text = shown._repr_html_().split("</style>")[1]
    assert re.search(r"RUNNING 3", text)
    assert not re.search(r"[{}\[\]']", text)
    assert "0.123" in text
    assert text.count(">none<") == 2


def test_headings_of_many_numbers_stand_upright() -> None:
    """Eleven counts fit the page; truth values are words."""
    counts = pd.DataFrame([range(11)], columns=[f"scheduled_tasks_{i}" for i in range(11)])
    assert "vertical-rl" in table(counts)._repr_html_()
    assert "vertical-rl" not in table(counts.iloc[:, :5].assign(held=True))._repr_html_()
    assert ">True<" in table(counts.iloc[:, :5].assign(held=True))._repr_html_()


def test_names_of_rows_become_columns() -> None:
    """Of one level and of two; names that repeat are no trouble."""
    frame = pd.DataFrame({"a_b": [1.5, 2.0]}, index=pd.Index(["x", "x"], name="outcome"))
    assert list(table(frame).frame.columns) == ["outcome", "a b"]
    assert "1.50" in table(frame, digits=2)._repr_html_()
    two = pd.DataFrame(
        {("jobs", 0.5): [1]}, index=pd.MultiIndex.from_tuples([("a", "b")], names=["kind", "metric"])
    )
    assert list(table(two).frame.columns) == ["kind", "metric", "jobs, 0.5"]
    assert "<script>" not in table(pd.DataFrame({"a": ["<script>"]}))._repr_html_()
