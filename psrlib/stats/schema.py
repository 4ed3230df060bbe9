"""Columns of a stats set (design.md, section 3): what each file holds, and in what range."""

from dataclasses import dataclass

from psrlib.bounds import (
    MAX_COMMITS,
    MAX_DEFINITION_BYTES,
    MAX_INSTANCES,
    MAX_PARAMETERS,
    MAX_STAGES,
    MAX_WORDS,
)

LARGEST = 10**9  # more than any count of entities on a Control Hub


@dataclass(frozen=True)
class Column:
    """A column of a table: integers from ``smallest`` to ``largest``, or text where the first is None."""

    smallest: int | None = 0
    required: bool = False
    largest: int = LARGEST


KEY, COUNT, TEXT = Column(None, required=True), Column(), Column(None)
WORDS, FLAG = Column(largest=MAX_WORDS), Column(largest=1)
# org refers to orgs.csv; owner, pipeline and job are surrogate keys, meaningless outside their organization
DETAIL_TABLES = {
    "pipelines": {
        "org": KEY,
        "stages": Column(1, required=True, largest=MAX_STAGES),
        "commits": Column(largest=MAX_COMMITS),
        "labels": WORDS,
        "parameters": Column(largest=MAX_PARAMETERS),
        "definition_bytes": Column(largest=MAX_DEFINITION_BYTES),
        "owner": TEXT,
    },
    "jobs": {
        "org": KEY,
        "status": TEXT,
        "pipeline": TEXT,
        "owner": TEXT,
        "instances": Column(1, largest=MAX_INSTANCES),
        "engine_labels": WORDS,
        "tags": WORDS,
        "is_template": FLAG,
    },
    "scheduled_tasks": {"org": KEY, "action": TEXT, "period_s": Column(1), "job": TEXT},
    "subscriptions": {"org": KEY, "event": TEXT, "action": TEXT, "enabled": FLAG},
    "users": {"org": KEY, "roles": WORDS, "groups": WORDS},
}
