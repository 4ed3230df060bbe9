"""What a hub's database holds of organizations, without ids and times: two hubs with one content are equal.

Written over the tables alone, so that a mistake of the difference or of the client is not made here again.
"""

import json
import re
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(:[\w-]+)?")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+(?=\W)")
# Columns that say how and when something came to be, not what it is.
HOW = {
    *("creator", "created_on", "last_modified_by", "last_modified_on", "resource_created_time", "committer"),
    *("commit_time", "password_hash", "password_generated", "password_changed_on", "password_expiry_time"),
    *("start_time", "end_time", "next_time", "created_by", "message"),
    "permissions",  # of an owner who made the object himself; none where the owner was set later
}
TABLES = (
    *("organizations", "configs", "users", "groups", "group_members", "connections"),
    *("pipelines", "commits", "jobs", "tasks", "subscriptions", "topologies", "topology_commits", "acls"),
)


@dataclass(frozen=True)
class Comparison:
    """Rows of a hub against those of a reference: what lacks, what is there too often, what is otherwise."""

    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether both hold the same."""
        return not (self.lost or self.doubled or self.wrong)


def canon(database: Path) -> Counter[tuple[str, str, str]]:
    """Return (table, name, content) of every row, with its number."""
    uri = f"file:{database}?mode=ro"
    connection = sqlite3.connect(uri, uri=True)
    connection.row_factory = sqlite3.Row
    try:
        tables = {table: _rows(connection, table) for table in TABLES}
    finally:
        connection.close()
    names = _names(tables)
    gone_ids = {row["id"] for row in tables["subscriptions"] if row["deleted"]}
    gone_ids |= {row["id"] for row in tables["tasks"] if row["status"] == "DELETED"}

    def replace(text: str) -> str:
        text = ADDRESS.sub("<hub>", text)
        return UUID.sub(lambda match: names.get(match[0], "another id" if match[1] else match[0]), text)

    found: Counter[tuple[str, str, str]] = Counter()
    for table, rows in tables.items():
        for row in rows:
            content = {column: value for column, value in row.items() if column not in HOW}
            gone = row.get("deleted") or row.get("status") == "DELETED" or row.get("resource_id") in gone_ids
            if gone or "admin" in (content.get("organization"), content.get("id")):
                continue
            name = replace(str(row.get("name") or row.get("resource_id") or row.get("id") or ""))
            if table.endswith("commits"):
                name += f" v{row['number']}"
                content["message"] = re.sub(r"\d+$|of several$", "n", str(row["message"]))
                content.pop("rules_id", None)
            text = json.dumps(content, sort_keys=True, default=str)
            organization = str(row.get("organization") or "")
            found[table, f"{organization} {name}", replace(text)] += 1
    return found


def compare(found: Counter[tuple[str, str, str]], reference: Counter[tuple[str, str, str]]) -> Comparison:
    """Return in what a hub differs from a reference."""
    n_found = Counter(key[:2] for key in found.elements())
    n_wanted = Counter(key[:2] for key in reference.elements())
    other = [key for key in (found - reference) if n_found[key[:2]] == n_wanted[key[:2]]]
    return Comparison(
        lost=tuple(sorted(map(" ".join, (n_wanted - n_found)))),
        doubled=tuple(sorted(map(" ".join, (n_found - n_wanted)))),
        wrong=tuple(sorted(map(" ".join, other))),
    )


def _rows(connection: sqlite3.Connection, table: str) -> list[Row]:
    return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]


def _names(tables: dict[str, list[Row]]) -> dict[str, str]:
    """Return id -> words that are the same on every hub."""
    names: dict[str, str] = {}
    for kind in ("connections", "pipelines", "jobs", "tasks", "subscriptions", "topologies"):
        for row in tables[kind]:
            names[row["id"]] = f"<{kind} {row['organization']} {row['name']}>"
    for kind in ("commits", "topology_commits"):
        for row in tables[kind]:
            name = f"{row['organization']} {row['name']} v{row['number']}"
            names[row["id"]] = f"<{kind} {name}>"
            if row.get("rules_id"):
                names[row["rules_id"]] = f"<rules {name}>"
    return names
