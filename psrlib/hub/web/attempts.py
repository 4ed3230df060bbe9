"""Wrong passwords in a row: after a few the next attempt has to wait, longer each time."""

from dataclasses import dataclass

FREE = 5  # wrong passwords in a row that cost nothing
FIRST_WAIT_MS = 1_000
LONGEST_WAIT_MS = 30_000
FORGOTTEN_MS = 900_000  # since the last wrong one
MAX_KEPT = 10_000  # pairs of user and address


@dataclass
class _Row:
    n_wrong: int
    last_ms: int

    @property
    def free_at_ms(self) -> int:
        """When the next attempt is looked at."""
        over = self.n_wrong - FREE
        return self.last_ms + min(FIRST_WAIT_MS << min(over, 16), LONGEST_WAIT_MS) if over >= 0 else 0


class Attempts:
    """What is remembered of wrong passwords, by user and address of the caller.

    Only the address that guesses has to wait, and whoever has the right password never got here: neither a
    populate nor a fleet is slowed down by somebody who guesses elsewhere.

    Examples
    --------
    >>> attempts = Attempts()
    >>> for _ in range(FREE):
    ...     attempts.note("admin@acme", "10.0.0.1", right=False, now_ms=1_000)
    >>> attempts.wait_ms("admin@acme", "10.0.0.1", 1_200), attempts.wait_ms("admin@acme", "10.0.0.2", 1_200)
    (800, 0)
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], _Row] = {}

    def wait_ms(self, user: str, address: str, now_ms: int) -> int:
        """Return how long the next attempt has to wait; 0 for not at all."""
        row = self._rows.get((user, address))
        return 0 if row is None else max(0, row.free_at_ms - now_ms)

    def note(self, user: str, address: str, *, right: bool, now_ms: int) -> None:
        """Remember an attempt that was looked at; a right one forgives the wrong ones."""
        key = (user, address)
        row = self._rows.pop(key, None)
        if right:
            return
        if row is None or now_ms - row.last_ms > FORGOTTEN_MS:
            row = _Row(0, now_ms)
        self._rows[key] = _Row(row.n_wrong + 1, now_ms)
        if len(self._rows) > MAX_KEPT:
            self._rows.pop(next(iter(self._rows)), None)
