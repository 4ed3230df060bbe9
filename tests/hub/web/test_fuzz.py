"""Drawn requests against the hub's own OpenAPI document: whatever comes in, no inner error comes out."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings


def drawing(n_examples: int) -> settings:
    return settings(
        max_examples=n_examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def send(session: Any, case: Any) -> Any:
    """Send a drawn case as the session's user."""
    path = case.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    query = urlencode(dict(case.query or {}), doseq=True)
    target = f"{path}?{query}" if query else path
    if case.media_type == "multipart/form-data":
        content = (case.body or {}).get("file", b"") if isinstance(case.body, dict) else b""
        return session.upload(target, content if isinstance(content, bytes) else str(content).encode())
    body = case.body
    if body is None or type(body).__name__ == "NotSet":
        data = b""
    elif case.media_type == "application/json":
        data = json.dumps(body).encode("utf-8", "surrogatepass")
    else:
        data = body if isinstance(body, bytes) else str(body).encode("utf-8", "replace")
    return session.call(case.method, target, data)


def walk(session: Any, n_examples: int) -> tuple[int, list[Any]]:
    """Draw cases for every operation; return how many were sent and those that ended in an inner error."""
    import schemathesis  # a second of imports, in each process that collects the tests

    document = session.get("/openapi.json")
    schema = schemathesis.openapi.from_dict(document)
    sent, broken = 0, []
    for result in schema.get_all_operations():
        operation = result.ok()
        if "_logout" in operation.path:
            continue

        @drawing(n_examples)
        @given(case=operation.as_strategy())
        def attempt(case: Any) -> None:
            nonlocal sent
            sent += 1
            answer = send(session, case)
            named = b"ISSUES" in answer.content or b'role="alert"' in answer.content  # on a page for people
            if answer.status == 500 or (answer.status >= 400 and not named):
                broken.append((case.method, case.path, case.path_parameters, case.query, case.body))

        attempt()
    return sent, broken


@pytest.mark.parametrize("db_kind", ["postgresql"])
def test_no_drawn_request_meets_an_inner_error(acme: Any) -> None:
    """Every operation with drawn path, query and body: refusals say why, none is a 500."""
    sent, broken = walk(acme, 2)
    assert sent > 400
    assert broken == []


@pytest.mark.long
def test_many_drawn_requests_meet_no_inner_error(acme: Any) -> None:
    """The same with 40 drawn requests per operation, on both databases."""
    sent, broken = walk(acme, 40)
    assert sent > 5000
    assert broken == []


BROKEN_BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"[[[[[[",
    b"\xff\xfe",
    b'{"name": "\\u0000"}',
    b'{"name": "\\ud800"}',
    b'{"name": 1e400}',
    b"[" * 100_000,
    b'{"id": 99999999999999999999999999}',
]


@pytest.mark.parametrize("body", BROKEN_BODIES, ids=lambda b: repr(b[:16]))
def test_broken_bodies_are_refused_everywhere(body: bytes, lite_acme: Any) -> None:
    """Not JSON, wrong type, NUL, lone surrogate, too deep, too large a number: 400 to 404, never 500."""
    document = lite_acme.get("/openapi.json")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                answer = lite_acme.call(
                    method.upper(), path.replace("{org}", "acme").replace("{", "").replace("}", ""), body
                )
                assert answer.status < 500, (method, path, answer.content)


@pytest.mark.parametrize("value", ["%00", "a%2Fb", "%ff", "x" * 5000, "'--"])
@pytest.mark.parametrize("db_kind", ["postgresql"])
def test_odd_path_values_are_refused_everywhere(value: str, acme: Any) -> None:
    """NUL, encoded slashes, broken UTF-8, long and odd ids."""
    for path, methods in acme.get("/openapi.json")["paths"].items():
        if "{" not in path:
            continue
        parts = [value if part.startswith("{") else part for part in path.split("/")]
        for method in methods:
            if method == "get":
                answer = acme.call("GET", "/".join(parts))
                assert answer.status not in (500, 501), (path, answer.content)
