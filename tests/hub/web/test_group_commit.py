"""Short transactions that wait at the same time share a commit, and nothing else."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event

from psrlib.errors import PsrError

USERS = "/security/rest/v1/organization/acme/users"


def user(name: str) -> dict[str, Any]:
    return {"id": f"{name}@acme", "organization": "acme", "name": name, "roles": ["user", "org-user"]}


def send_together(session: Any, bodies: list[dict[str, Any]]) -> list[int]:
    """Create users by requests that arrive at the same time; return the status of each."""
    app = session.driver.app
    headers = {"x-requested-by": "test", "x-ss-user-auth-token": session.token}

    async def send_one(body: dict[str, Any]) -> int:
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": json.dumps(body).encode()}

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": "PUT",
            "path": USERS,
            "raw_path": USERS.encode(),
            "query_string": b"",
            "scheme": "http",
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            "client": ("127.0.0.1", 1),
        }
        await app(scope, receive, send)
        return int(messages[0]["status"])

    async def send_all() -> list[int]:
        return await asyncio.gather(*(send_one(body) for body in bodies))

    return list(session.driver.loop.run_until_complete(send_all()))


def commits_of(session: Any, bodies: list[dict[str, Any]]) -> tuple[list[int], int]:
    """Return the statuses of requests that arrive together, and the commits they took."""
    seen: list[Connection] = []

    def note(connection: Connection) -> None:
        seen.append(connection)

    writer = session.driver.app.hub.database._writer
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
    statuses = send_together(acme, [user("a"), user("a"), lost, user("b")])
    assert statuses == [201, 409, 404, 201]
    assert {"a", "b"} <= names(acme)
    assert "lost" not in names(acme)


def test_what_a_refused_request_left_in_memory_is_forgotten(acme: Any) -> None:
    """The limit is counted from the rows after a refusal: as many users fit as the limit says."""
    limit = len(names(acme)) + 2
    acme.driver.login("admin@admin").post(
        "/security/rest/v1/organization/acme/configs", [{"id": "org.max.users", "value": str(limit)}]
    )
    statuses = send_together(acme, [user("a"), user("a"), user("b"), user("c")])
    assert statuses == [201, 409, 201, 403]
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
