"""Collect a stats set from a database: one SELECT per table, read-only, anonymized before it is written."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import SystemRandom
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from psrlib.collect.anonymize import anonymize, check_settings
from psrlib.collect.collection import Collection, check_output, write_set
from psrlib.collect.progress import Progress
from psrlib.collect.rows import (
    ACTION_TYPES,
    JOB_STATUSES,
    OTHER,
    TASK_ACTIONS,
    Numbers,
    OrganizationRows,
    Row,
    period_s,
    subscription_row,
)
from psrlib.errors import InputError
from psrlib.state.definitions import definition_size, read_shape
from psrlib.stats.schema import DETAIL_TABLES
from psrlib.words import CONFIG, COUNTS, NEEDED_COUNTS, NOT_SET
from psrlib.yaml_file import read_yaml, shown

PASSWORD_VARIABLE = "PSR_SQL_PASSWORD"
TABLES = ("orgs", *DETAIL_TABLES)
# Texts of a database that become numbers or words here, beside the columns of the stats set
TEXTS = {"pipelines": ("definition",), "scheduled_tasks": ("cron",), "subscriptions": ("events", "actions")}
SURROGATES = ("owner", "pipeline", "job")
ROWS_AT_ONCE = 1000
_SELECT = re.compile(r"\s*(SELECT|WITH)\b[^;]*;?\s*", re.IGNORECASE | re.DOTALL)
# What makes a transaction read-only, beside that it is rolled back
READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "mysql": "SET TRANSACTION READ ONLY",
    "mariadb": "SET TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}


@dataclass(frozen=True)
class SqlMapping:
    """The SELECTs of a mapping file, by table of the stats set, and the columns that each must have."""

    selects: dict[str, str]

    def plan(self) -> str:
        """Return the SELECTs as they will run."""
        return "\n".join(f"-- {table}\n{select.strip()}\n" for table, select in self.selects.items())


def load_mapping(path: str | Path) -> SqlMapping:
    """Read a mapping file: YAML with a SELECT for ``orgs`` and any of the detail tables.

    Raises
    ------
    InputError
        Naming file and table: an unknown table, no text, or more than one statement that only reads.
    """
    path = Path(path)
    content = read_yaml(path, "mapping")
    if not isinstance(content, dict) or "orgs" not in content:
        raise InputError(f"{path.name}: expected a SELECT for each of {', '.join(TABLES)}; orgs is needed")
    for table, select in content.items():
        if table not in TABLES:
            raise InputError(f"{path.name}: unknown table {shown(table)}; expected {', '.join(TABLES)}")
        if not isinstance(select, str) or not _SELECT.fullmatch(select):
            raise InputError(f"{path.name}: {table}: expected one SELECT, got {shown(select)}")
    return SqlMapping({table: content[table].rstrip("; \n") for table in TABLES if table in content})


def collect_sql(
    url: str,
    mapping: SqlMapping,
    directory: str | Path,
    *,
    k: int = 5,
    noise: float = 0.0,
    source: str = "production",
    rng: np.random.Generator | None = None,
) -> Collection:
    """Read a database and write an anonymized stats set, by the rules of `psrlib.collect.collect_stats`.

    Parameters
    ----------
    url : str
        Address as SQLAlchemy writes it, without password: that comes from the variable PSR_SQL_PASSWORD.
    mapping : SqlMapping
        See `load_mapping`.
    directory, k, noise, source, rng
        See `psrlib.collect.collect_stats`. Until the end there is ``<directory>.partial``, encrypted with
        the password; a table that it holds is not read again.

    Raises
    ------
    InputError
        If the database cannot be reached, a SELECT fails, or its columns or values are not those of the
        table.
    """
    directory = check_output(directory)
    address = _address(url)
    key = address.password or os.environ.get(PASSWORD_VARIABLE) or str(address)
    progress = Progress(
        directory.with_name(f"{directory.name}.partial"), key, address.render_as_string(hide_password=True)
    )
    n_resumed = len(progress.entries)
    missing = [table for table in mapping.selects if table not in progress.entries]
    if missing:
        with _reading(address) as connection:
            for table in missing:
                progress.add(table, list(_rows(connection, table, mapping.selects[table])))
    organizations = _organizations({table: progress.entries[table] for table in mapping.selects})
    check_settings(len(organizations), k, noise)
    tables = anonymize(organizations, rng or np.random.default_rng(), k=k, noise=noise)
    settings = {"k": k, "noise": noise, "shuffled": True, "surrogate_keys": True}
    write_set(tables, directory, source, settings)
    progress.finish()
    rows = {name: len(table) for name, table in tables.items()}
    return Collection(directory, rows, len(organizations), n_resumed, {"SELECT": len(missing)})


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise InputError(
            "the database address is none of SQLAlchemy's; see docs/production-stats.md"
        ) from error
    if address.password:
        raise InputError(f"leave the password out of the address; it comes from {PASSWORD_VARIABLE}")
    return address.set(password=os.environ.get(PASSWORD_VARIABLE)) if address.username else address


@contextmanager
def _reading(address: URL) -> Iterator[Connection]:
    """Open a transaction that cannot write, and is rolled back at the end."""
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        raise InputError(f"{address.database}: no such database")
    try:
        # a database without an encoding (SQL_ASCII) would give bytes for text
        arguments = {"client_encoding": "utf8"} if address.get_driver_name() == "psycopg" else {}
        engine = create_engine(address, connect_args=arguments)
    except (SQLAlchemyError, ImportError) as error:
        raise InputError(f"{address.drivername}: its driver is not installed ({error})") from error
    try:
        with engine.connect() as connection:
            if statement := READ_ONLY.get(engine.dialect.name):
                connection.execute(text(statement))
            yield connection
            connection.rollback()
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise InputError(f"{address.render_as_string(hide_password=True)}: {reason}") from error
    finally:
        engine.dispose()


def _rows(connection: Connection, table: str, select: str) -> Iterator[Row]:
    """Yield what a SELECT gives, row by row as the database sends them, each as values of the stats set."""
    result = connection.execution_options(stream_results=True, yield_per=ROWS_AT_ONCE).execute(text(select))
    known = ("org", *COUNTS, *CONFIG) if table == "orgs" else (*DETAIL_TABLES[table], *TEXTS.get(table, ()))
    columns = [str(name).lower() for name in result.keys()]  # noqa: SIM118 (names of columns)
    needed = ("org", *NEEDED_COUNTS) if table == "orgs" else ("org",)
    wrong = [name for name in columns if name not in known] + [f"no {n}" for n in needed if n not in columns]
    if wrong:
        raise InputError(
            f"SELECT of {table}: unexpected columns ({', '.join(wrong)}); expected {', '.join(known)}"
        )
    for number, values in enumerate(result, start=1):
        row = dict(zip(columns, values, strict=True))
        try:
            yield _CONVERT[table](row) | {"org": str(row["org"])}
        except (TypeError, ValueError) as error:
            raise InputError(f"SELECT of {table}: row {number}: {error}") from error


def _organization(row: Row) -> Row:
    counts = {name: _whole(name, value) for name, value in row.items() if name != "org"}
    return {name: None if name in CONFIG and value == NOT_SET else value for name, value in counts.items()}


def _pipeline(row: Row) -> Row:
    columns = {name: _whole(name, row[name]) for name in row if name not in ("org", "owner", "definition")}
    if row.get("definition"):
        shape, size = read_shape(row["definition"]), definition_size(row["definition"])
        told = {"stages": shape.stages, "parameters": len(shape.parameters), "labels": len(shape.labels)}
        columns = {**told, "definition_bytes": size, **columns}
    return columns | _keys(row)


def _job(row: Row) -> Row:
    status = str(row.get("status") or "INACTIVE")
    texts = ("org", "status", *SURROGATES)
    numbers = {name: _whole(name, value) for name, value in row.items() if name not in texts}
    return numbers | {"status": status if status in JOB_STATUSES else OTHER} | _keys(row)


def _task(row: Row) -> Row:
    action = str(row.get("action"))
    period = period_s(str(row["cron"])) if "cron" in row else _whole("period_s", row.get("period_s"))
    return {"action": action if action in TASK_ACTIONS else OTHER, "period_s": period} | _keys(row)


def _subscription(row: Row) -> Row:
    if "events" in row or "actions" in row:
        events, actions = _list(row.get("events")), _list(row.get("actions"))
        enabled = bool(_whole("enabled", row.get("enabled", 1)))
        return subscription_row({"events": events, "externalActions": actions, "enabled": enabled})
    action = str(row.get("action"))
    known = action if action in ACTION_TYPES.values() else OTHER
    return {
        "event": str(row.get("event") or OTHER),
        "action": known,
        "enabled": _whole("enabled", row.get("enabled", 1)),
    }


def _user(row: Row) -> Row:
    return {name: _whole(name, value) for name, value in row.items() if name != "org"}


_CONVERT: dict[str, Callable[[Row], Row]] = {
    "orgs": _organization,
    "pipelines": _pipeline,
    "jobs": _job,
    "scheduled_tasks": _task,
    "subscriptions": _subscription,
    "users": _user,
}


def _keys(row: Row) -> Row:
    """Return the names and ids that become surrogates once all rows of an organization are there."""
    return {name: str(row[name]) for name in SURROGATES if name in row}


def _list(value: Any) -> list[Any]:
    found = orjson.loads(value) if isinstance(value, str | bytes) else value
    return found if isinstance(found, list) else []


def _whole(name: str, value: Any) -> int | None:
    """Return a whole number: of a list its length, of a truth value 0 or 1; None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, list):
        return len(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "false"):
            return int(word == "true")
        if word.startswith("["):
            return len(_list(value))
        value = Decimal(word) if re.fullmatch(r"-?\d{1,18}(\.0*)?", word) else value
    if isinstance(value, str) or int(value) != value:
        raise ValueError(f"{name}: expected a whole number, got {shown(value)}")
    return int(value)


def _organizations(tables: Mapping[str, list[Row]]) -> dict[str, OrganizationRows]:
    """Return the rows by organization, shuffled, their names and ids replaced by numbers without meaning."""
    organizations = {
        row["org"]: OrganizationRows(
            {name: value for name, value in row.items() if name != "org"},
            {table: [] for table in DETAIL_TABLES},
        )
        for row in tables["orgs"]
    }
    if len(organizations) != len(tables["orgs"]):
        raise InputError("SELECT of orgs: an organization stands twice; expected a row per organization")
    for table in DETAIL_TABLES:
        for row in tables.get(table, []):
            if row["org"] not in organizations:
                raise InputError(f"SELECT of {table}: a row of an organization that the SELECT of orgs lacks")
            organizations[row["org"]].details[table].append(row)
    for found in organizations.values():
        numbers: dict[str, Numbers] = {name: defaultdict(count(1).__next__) for name in SURROGATES}
        for rows in found.details.values():
            SystemRandom().shuffle(rows)
            rows[:] = [_without_names(row, numbers, found.counts.get("engines")) for row in rows]
    return organizations


def _without_names(row: Row, numbers: Mapping[str, Numbers], n_engines: int | None) -> Row:
    named = {name: numbers[name][value] if name in SURROGATES else value for name, value in row.items()}
    if named.get("instances") is not None and named["instances"] <= 0:
        named["instances"] = max(1, n_engines or 0)  # -1: one on each engine
    del named["org"]
    return named
