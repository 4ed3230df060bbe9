"""What is wrong in the tables of a stats set, and what was left out of them: all of it at once."""

from collections.abc import Sequence

import pandas as pd

from psrlib.errors import InputError

_ROWS_SHOWN = 5  # row numbers named per problem; the rest is counted


class Problems:
    """Growing lists of what is wrong in one table and of what was left out; ``name`` is the table's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.messages: list[str] = []
        self.notes: list[str] = []

    def note(self, what: str) -> None:
        """Note what was left out or taken for something, which is no problem."""
        self.notes.append(f"{self.name}: {what}")

    def add(self, where: str, what: str) -> None:
        """Note a problem of the whole table or of a column."""
        self.messages.append(f"{where}: {what}" if where else what)

    def add_rows(self, column: str, bad: "pd.Series[bool]", what: str) -> None:
        """Note a problem of some rows, whose numbers are the index."""
        self.add_numbers(column, [int(number) for number in bad.index[bad.to_numpy(dtype=bool)]], what)

    def add_numbers(self, column: str, numbers: Sequence[int], what: str) -> None:
        """Note a problem of rows with some numbers; none is no problem."""
        if numbers:
            more = f" and {len(numbers) - _ROWS_SHOWN} more" if len(numbers) > _ROWS_SHOWN else ""
            self.add(column, f"{what} in row {', '.join(map(str, numbers[:_ROWS_SHOWN]))}{more}")


def raise_if_any(where: str, tables: Sequence[Problems]) -> None:
    """Raise InputError listing every problem of some tables; ``where`` is the stats set."""
    wrong = [table for table in tables if table.messages]
    lines = [f"{table.name}: {message}" for table in wrong for message in table.messages]
    if lines:
        listing = "\n  ".join(lines)
        raise InputError(f"{where}: {len(lines)} problem(s); nothing was used\n  {listing}")
