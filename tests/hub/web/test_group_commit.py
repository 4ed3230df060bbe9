"""Short transactions that wait at the same time share a commit, and nothing else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event
from support.in_process import Request

from psrlib.errors import PsrError

USERS = "/security/rest/v1/organization/acme/users"


def user(name: str) -> dict[str, Any]:
    return {"id": f"{name}@acme", "organization": "acme", "name": name, "roles": ["user", "org-user"]}


def send_together(session: Any, bodies: list[dict[str, Any]]) -> list[int]:
    """Create users by requests that arrive at the same time; return the status of each."""
    headers = {"X-Requested-By": "test", "X-SS-User-Auth-Token": session.token}
    requests = [Request("PUT", USERS, headers, json.dumps(body).encode()) for body in bodies]
    return [answer.status for answer in session.driver.raw_together(requests)]


def commits_of(session: Any, bodies: list[dict[str, Any]]) -> tuple[list[int], int]:
    """Return the statuses of requests that arrive together, and the commits they took."""
    seen: list[Connection] = []

    def note(connection: Connection) -> None:
        seen.append(connection)

    writer = session.driver.writer
    event.listen(writer, "commit", note)
    try:
        return send_together(session, bodies), len(seen)
    finally:
        event.remove(writer, "commit", note)


def names(session: Any) -> set[str]:
    return {row["id"].removesuffix("@acme") for row in session.get(USERS)}


def test_requests_that_arrive_together_share_a_commit(acme: Any) -> None:
    """Eight new users: all of them are there, after fewer commits than requests."""
    statuses, n_commits = commits_of(acme, [user(f"u{n}") for n in range(8)])
    assert statuses == [201] * 8
    assert {f"u{n}" for n in range(8)} <= names(acme)
    assert n_commits < 8


def test_a_refused_request_is_undone_by_itself(acme: Any) -> None:
    """A taken id and an unknown group among good requests: the others are kept, nothing of the two."""
    lost = user("lost") | {"groups": ["nobody@acme"]}
    statuses, n_commits = commits_of(acme, [user("a"), user("a"), lost, user("b")])
    assert statuses == [201, 409, 404, 201]
    assert n_commits < 4  # they did meet in a batch
    assert {"a", "b"} <= names(acme)
    assert "lost" not in names(acme)


def test_what_a_refused_request_left_in_memory_is_forgotten(acme: Any) -> None:
    """The limit is counted from the rows after a refusal: as many users fit as the limit says."""
    limit = len(names(acme)) + 2
    acme.driver.login("admin@admin").post(
        "/security/rest/v1/organization/acme/configs", [{"id": "org.max.users", "value": str(limit)}]
    )
    statuses, n_commits = commits_of(acme, [user("a"), user("a"), user("b"), user("c")])
    assert statuses == [201, 409, 201, 403]
    assert n_commits < 4
    assert len(names(acme)) == limit


def test_a_commit_that_fails_is_no_success_of_anybody(
    lite_acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that something was stored when it was not."""
    database = lite_acme.driver.app.hub.database
    writing = database.writing

    @contextmanager
    def failing() -> Iterator[Connection]:
        with writing() as connection:
            yield connection
            raise PsrError("disk full")

    monkeypatch.setattr(database, "writing", failing)
    assert send_together(lite_acme, [user("a"), user("b")]) == [500, 500]
    monkeypatch.undo()
    assert not {"a", "b"} & names(lite_acme)
