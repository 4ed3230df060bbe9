"""Hubs of one process after the other: SQL is compiled for the first of them, not for each again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Dialect, Engine

from psrlib.hub.store import database


@contextmanager
def share_statements() -> Iterator[None]:
    """Give the engines of databases of one kind one dialect, and one memory of compiled statements."""
    known: dict[tuple[str, str | None], tuple[Dialect, dict[Any, Any]]] = {}

    def create_engine(url: sqlalchemy.URL, **options: Any) -> Engine:
        engine = sqlalchemy.create_engine(url, **options)
        key = (url.drivername, options.get("isolation_level"))
        engine.dialect, compiled = known.setdefault(key, (engine.dialect, {}))
        return engine.execution_options(compiled_cache=compiled)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_engine", create_engine)
        yield
