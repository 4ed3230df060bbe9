"""What a hub may make a fleet hold in memory: one sum for all engines, with an end."""

BASE_BYTES, ENGINE_BYTES = 64 << 20, 40 << 10  # a fleet's allowance, and what each engine adds to it
EVENT_BYTES = 2048  # an event of an answer, until its acknowledgement and its report have left


class BudgetError(ValueError):
    """A hub makes a fleet hold more than it can."""


class Budget:
    """Bytes held for the hub by a fleet: pipelines, pushed configuration, events not yet worked off.

    Sums are rough; they keep a hub that sends without end from filling the memory, and nothing else.
    """

    def __init__(self, n_engines: int = 1) -> None:
        self.limit = BASE_BYTES + ENGINE_BYTES * n_engines
        self.used = 0

    def take(self, n_bytes: int) -> None:
        """Count bytes in, or raise BudgetError when the fleet would hold too much."""
        if self.used + n_bytes > self.limit:
            raise BudgetError(
                f"the fleet holds {self.used} bytes for the hub and can take {self.limit - self.used} more, "
                f"not {n_bytes}"
            )
        self.used += n_bytes

    def give(self, n_bytes: int) -> None:
        """Count bytes out again."""
        self.used -= n_bytes
