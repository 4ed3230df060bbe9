"""Columns of a stats set (design.md, section 3): what each file holds, and in what range."""

from dataclasses import dataclass

LARGEST = 10**9  # more than any count of entities on a Control Hub


@dataclass(frozen=True)
class Column:
    """A column of a detail table: integers from ``smallest`` on, or text where that is None."""

    smallest: int | None = 0
    required: bool = False


KEY, COUNT, FROM_ONE, TEXT = Column(None, required=True), Column(), Column(1), Column(None)
# org refers to orgs.csv; owner, pipeline and job are surrogate keys, meaningless outside their organization
DETAIL_TABLES = {
    "pipelines": {"org": KEY, "stages": Column(1, required=True)}
    | dict.fromkeys(("commits", "labels", "parameters", "definition_bytes"), COUNT)
    | {"owner": TEXT},
    "jobs": {"org": KEY, "status": TEXT, "pipeline": TEXT, "owner": TEXT, "instances": FROM_ONE}
    | dict.fromkeys(("engine_labels", "tags", "is_template"), COUNT),
    "scheduled_tasks": {"org": KEY, "action": TEXT, "period_s": FROM_ONE, "job": TEXT},
    "subscriptions": {"org": KEY, "event": TEXT, "action": TEXT, "enabled": COUNT},
}
