"""Cron times of scheduled tasks: Quartz expressions, seconds first, an optional year last."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError

from psrlib.hub.web.issues import bad_request

_LIMITS = (59, 59, 23, 31, 12, 6)  # largest second, minute, hour, day, month, weekday
_DAYS = {name: str(n) for n, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_YEARS = re.compile(r"\*|\d{4}(-\d{4})?(,\d{4}(-\d{4})?)*")


def next_time_ms(expression: str, after_ms: int, time_zone: str = "UTC") -> int:
    """Return when a Quartz expression fires first after a moment, both in epoch milliseconds; 0 for never.

    The expression is ``second minute hour day-of-month month day-of-week [year]``, where weekdays count from
    1 = Sunday, and is meant in the zone of a name. 400 when one of the two is wrong.

    Examples
    --------
    >>> next_time_ms("0 0 1/1 * ? *", 0)
    3600000
    >>> next_time_ms("30 15 4 ? * 2", 0)  # the first Monday of 1970 was January 5
    360930000
    """
    fields, years = _split(expression)
    zone = _zone(time_zone)
    start = datetime.fromtimestamp(after_ms / 1000, tz=zone)
    try:
        text = " ".join(_translate(fields))
        times = croniter(text, start, second_at_beginning=True, max_years_between_matches=8)
        for _ in range(64):
            found = times.get_next(datetime)
            if _year_fits(years, found.year):
                return int(found.astimezone(UTC).timestamp() * 1000)
    except (CroniterError, ValueError, KeyError, OverflowError) as error:
        if "failed to find" in str(error):
            return 0
        raise bad_request(f"cron expression '{expression}' is wrong: {error}") from error
    return 0


def _split(expression: str) -> tuple[list[str], str]:
    parts = expression.upper().split()
    if len(parts) == 7 and _YEARS.fullmatch(parts[6]):
        return parts[:6], parts[6]
    if len(parts) != 6:
        raise bad_request(
            f"cron expression '{expression}': expected 6 fields, seconds first, and perhaps a year"
        )
    return parts, "*"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise bad_request(f"time zone '{name}' is unknown") from error


def _year_fits(years: str, year: int) -> bool:
    if years == "*":
        return True
    spans = [part.partition("-") for part in years.split(",")]
    return any(int(low) <= year <= int(high or low) for low, _, high in spans)


def _translate(fields: list[str]) -> list[str]:
    """Return croniter's spelling: ``?`` is ``*``, ``a/n`` runs to the end, weekdays count from 0."""
    fields = ["*" if field == "?" else field for field in fields]
    fields[5] = _weekdays(fields[5])
    return [
        ",".join(_steps(part, top) for part in f.split(",")) for f, top in zip(fields, _LIMITS, strict=True)
    ]


def _steps(part: str, top: int) -> str:
    start, slash, step = part.partition("/")
    return f"{start}-{top}/{step}" if slash and start.isdigit() else part


def _weekdays(field: str) -> str:
    """Return croniter's weekdays: numbers from 0, and the last Friday as ``L5`` in place of ``6L``."""

    def number(found: re.Match[str]) -> str:
        return _DAYS.get(found[0]) or str(int(found[0]) - 1)

    parts = re.sub(r"(?<![#/\d])([A-Z]{3}|\d+)", number, field).split(",")
    return ",".join("6" if part == "L" else re.sub(r"^(.+)L$", r"L\1", part) for part in parts)
