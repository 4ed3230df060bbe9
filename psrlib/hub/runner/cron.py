"""Cron times of scheduled tasks: Quartz expressions, seconds first, an optional year last."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterError

from psrlib.hub.web.issues import bad_request

_MONTH_TOP, _LIMITS = 12, (59, 59, 23, 31, 12, 6)
_DAYS = {name: str(n) for n, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_YEARS = re.compile(r"\*|\d{4}(-\d{4})?(,\d{4}(-\d{4})?)*")


def next_time_ms(expression: str, after_ms: int, time_zone: str = "UTC") -> int:
    """Return the first time after ``after_ms`` at which a Quartz expression fires, or 0 when there is none.

    Parameters
    ----------
    expression : str
        ``second minute hour day-of-month month day-of-week [year]``; weekdays count from 1 = Sunday.
    after_ms : int
        Epoch milliseconds.
    time_zone : str
        Name of the zone the expression is meant in.

    Raises
    ------
    IssueError
        400 when the expression or the zone is wrong.

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
        times = croniter(
            " ".join(_translate(fields)), start, second_at_beginning=True, max_years_between_matches=8
        )
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
    for part in years.split(","):
        low, _, high = part.partition("-")
        if int(low) <= year <= int(high or low):
            return True
    return False


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
    def one(found: re.Match[str]) -> str:
        word = found.group(0)
        return _DAYS[word] if word in _DAYS else str(int(word) - 1)

    parts = []
    for part in field.split(","):
        base, hash_, nth = part.partition("#")
        body, slash, step = base.partition("/")
        body = (
            re.sub(r"[A-Z]{3}|\d+", one, body) if body not in ("*", "L") else ("6" if body == "L" else body)
        )
        body = f"L{body[:-1]}" if body.endswith("L") else body
        parts.append(body + slash + step + hash_ + nth)
    return ",".join(parts)
