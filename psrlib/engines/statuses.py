"""Pipeline states of Data Collector 3.x and the changes allowed between them (engine-protocol, 9.1)."""

ALLOWED: dict[str, frozenset[str]] = {
    **{
        state: frozenset({"STARTING"})
        for state in ("EDITED", "FINISHED", "STOPPED", "START_ERROR", "RUN_ERROR", "STOP_ERROR")
    },
    "STARTING": frozenset({"RUNNING", "START_ERROR", "STARTING_ERROR", "STOPPING", "DISCONNECTING"}),
    "STARTING_ERROR": frozenset({"START_ERROR", "STOPPING_ERROR", "RETRY"}),
    "RUNNING": frozenset({"FINISHING", "STOPPING", "RUNNING_ERROR", "DISCONNECTING"}),
    "RUNNING_ERROR": frozenset({"RETRY", "RUN_ERROR", "STOPPING_ERROR"}),
    "RETRY": frozenset({"STARTING", "STOPPING", "DISCONNECTING"}),
    "FINISHING": frozenset({"FINISHED", "STOPPING_ERROR"}),
    "STOPPING": frozenset({"STOPPED", "STOPPING_ERROR"}),
    "STOPPING_ERROR": frozenset({"START_ERROR", "RUN_ERROR", "STOP_ERROR", "RETRY"}),
    "DISCONNECTING": frozenset({"DISCONNECTED"}),
    "DISCONNECTED": frozenset({"CONNECTING", "STARTING", "RETRY"}),
    "CONNECTING": frozenset({"STARTING", "DISCONNECTING", "RETRY"}),
}

# What a stored active state becomes when the engine's process starts again: states on their way to an end
# reach it, all others are resumed from DISCONNECTED.
AFTER_RESTART = {
    "STOPPING": "STOPPED",
    "STOPPING_ERROR": "STOP_ERROR",
    "FINISHING": "FINISHED",
    "STARTING_ERROR": "START_ERROR",
    "RUNNING_ERROR": "RUN_ERROR",
    **dict.fromkeys(
        ("STARTING", "RUNNING", "RETRY", "DISCONNECTING", "DISCONNECTED", "CONNECTING", "CONNECT_ERROR"),
        "DISCONNECTED",
    ),
}

ACTIVE = frozenset(AFTER_RESTART)


def crash_path(state: str) -> tuple[str, ...]:
    """Return the states through which a new process takes a pipeline that the last one left active.

    Examples
    --------
    >>> crash_path("RUNNING")
    ('DISCONNECTING', 'DISCONNECTED')
    >>> crash_path("STOPPING"), crash_path("DISCONNECTED"), crash_path("EDITED")
    (('STOPPED',), (), ())
    """
    end = AFTER_RESTART.get(state)
    if end is None or end == state:
        return ()
    return ("DISCONNECTING", end) if "DISCONNECTING" in ALLOWED.get(state, ()) else (end,)
