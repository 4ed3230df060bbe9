"""Columns of a stats set (design.md, section 3): what each file holds, and in what range."""

from dataclasses import dataclass

LARGEST = 10**9  # more than any count of entities on a Control Hub


@dataclass(frozen=True)
class Column:
    """A column of a detail table: an integer range, or text."""

    kind: str  # "integer" or "text"
    smallest: int = 0
    required: bool = False


# org refers to orgs.csv; owner, pipeline and job are surrogate keys, meaningless outside their organization
DETAIL_TABLES: dict[str, dict[str, Column]] = {
    "pipelines": {
        "org": Column("text", required=True),
        "stages": Column("integer", 1, required=True),
        "commits": Column("integer", 0),
        "labels": Column("integer", 0),
        "parameters": Column("integer", 0),
        "definition_bytes": Column("integer", 0),
        "owner": Column("text"),
    },
    "jobs": {
        "org": Column("text", required=True),
        "status": Column("text"),
        "pipeline": Column("text"),
        "owner": Column("text"),
        "instances": Column("integer", 1),
        "engine_labels": Column("integer", 0),
        "tags": Column("integer", 0),
        "is_template": Column("integer", 0),
    },
    "scheduled_tasks": {
        "org": Column("text", required=True),
        "action": Column("text"),
        "period_s": Column("integer", 1),
        "job": Column("text"),
    },
    "subscriptions": {
        "org": Column("text", required=True),
        "event": Column("text"),
        "action": Column("text"),
        "enabled": Column("integer", 0),
    },
}
