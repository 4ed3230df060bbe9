"""The host that a request means: a hub on loopback is no other server, whatever a name points to."""

from pathlib import Path
from typing import Any

import pytest

from psrlib.hub.server import create_app

HEALTH = "/security/login"


@pytest.fixture
def local(lite: Any, tmp_path: Path) -> Any:
    """A hub that knows to be on loopback."""
    lite.app.hub.close()
    lite.app = create_app(
        f"sqlite:///{tmp_path / 'local.db'}", "http://127.0.0.1:1", background=False, is_local=True
    )
    return lite


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:18631", 200),
        ("localhost:18631", 200),
        ("LOCALHOST", 200),
        ("127.8.9.10", 200),
        ("[::1]:18631", 200),
        ("[::1]", 200),
        ("evil.example:18631", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("127.0.0.1:80@evil.example", 421),
        ("[::1].evil.example", 421),
        ("10.0.0.1", 421),
        ("", 421),
        ("x" * 5000, 421),
    ],
)
def test_a_hub_on_loopback_is_called_by_its_own_name(local: Any, host: str, status: int) -> None:
    """A page whose name points to 127.0.0.1 is refused what it asks, with a word what to do."""
    answer = local.raw("GET", HEALTH, {"Host": host})
    assert answer.status == status
    if status == 421:
        assert b"--host" in answer.content


def test_an_old_client_names_no_host(local: Any) -> None:
    """HTTP/1.0 has none; browsers always send it."""
    assert local.raw("GET", HEALTH, {}).status == 200


def test_a_hub_elsewhere_has_any_name(lite: Any) -> None:
    """Beyond loopback its names are the network's business."""
    assert lite.raw("GET", HEALTH, {"Host": "hub:18631"}).status == 200
