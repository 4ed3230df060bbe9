"""Does a Quartz cron expression fire at an instant?"""

from dataclasses import dataclass
from datetime import UTC, datetime

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")  # Quartz counts from 1 = Sunday
LOWEST = (0, 0, 0, 1, 1, 1, 1970)
HIGHEST = (59, 59, 23, 31, 12, 7, 2199)
SIZES = (60, 60, 24, 365.25 / 12, 12, 7)  # values of a field, on average
DAY_OF_MONTH, MONTH, DAY_OF_WEEK, YEAR = 3, 4, 5, 6
CALENDAR = "LW#"  # last day, nearest weekday, n-th weekday


@dataclass(frozen=True)
class Cron:
    """A parsed expression: the values each field allows, None for all of them.

    Examples
    --------
    >>> Cron.parse("0 0/5 * * * ? *").fires_at(datetime(2026, 1, 1, 3, 25, 0, tzinfo=UTC))
    True
    """

    fields: tuple[frozenset[int] | None, ...]

    @classmethod
    def parse(cls, expression: str) -> "Cron":
        """Read ``seconds minutes hours day-of-month month day-of-week [year]`` (Quartz CronExpression).

        Days given by ``L``, ``W`` or ``#`` count as every day: more instants than the expression has.

        Raises
        ------
        ValueError
            If the expression has neither six nor seven fields, or a field is not understood.
        """
        texts = expression.upper().split()
        if len(texts) not in (6, 7):
            raise ValueError(f'cron expression "{expression}": expected 6 or 7 fields, got {len(texts)}')
        texts += ["*"] * (7 - len(texts))
        return cls(tuple(_field(position, text) for position, text in enumerate(texts)))

    def fires_at(self, instant: datetime) -> bool:
        """Whether the expression fires in the second of an instant (UTC)."""
        t = instant.astimezone(UTC)
        weekday = (t.weekday() + 1) % 7 + 1
        values = (t.second, t.minute, t.hour, t.day, t.month, weekday, t.year)
        return all(
            allowed is None or value in allowed for value, allowed in zip(values, self.fields, strict=True)
        )

    def fires_between(self, first_s: int, last_s: int) -> bool:
        """Whether it fires in any second from ``first_s`` through ``last_s`` (seconds since 1970)."""
        return any(self.fires_at(datetime.fromtimestamp(s, UTC)) for s in range(first_s, last_s + 1))

    def mean_period_s(self) -> float:
        """Return the mean time between two instants, seconds; a year given limits nothing.

        Examples
        --------
        >>> round(Cron.parse("0 0 3 ? * MON,WED,FRI *").mean_period_s() / 3600)
        56
        """
        share = 1.0
        for allowed, size in zip(self.fields[:YEAR], SIZES, strict=True):
            share *= 1.0 if allowed is None else len(allowed) / size
        return 1 / share


def _field(position: int, text: str) -> frozenset[int] | None:
    if text in ("*", "?"):
        return None
    names = DAYS if position == DAY_OF_WEEK else MONTHS
    if position in (MONTH, DAY_OF_WEEK):
        for number, name in enumerate(names, start=1):
            text = text.replace(name, str(number))
    if position in (DAY_OF_MONTH, DAY_OF_WEEK) and any(letter in text for letter in CALENDAR):
        return None
    values: set[int] = set()
    for part in text.split(","):
        values |= _part(position, part)
    return frozenset(values)


def _part(position: int, part: str) -> set[int]:
    span, slash, step = part.partition("/")
    low, dash, high = span.partition("-")
    first = LOWEST[position] if low in ("*", "") else int(low)
    last = int(high) if dash else HIGHEST[position] if slash or low == "*" else first
    if last < first:  # FRI-MON, 22-2
        return {*range(first, HIGHEST[position] + 1), *range(LOWEST[position], last + 1)}
    return set(range(first, last + 1, int(step) if slash else 1))
