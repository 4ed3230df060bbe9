"""psr hub credentials: organizations and API credentials at a hub of release 4."""

import json
import stat
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from psrlib.errors import InputError
from psrlib.hub.process.hub_process import start_hub
from psrlib.hub.process.sign_up import sign_up


def who_is(url: str, credential: dict[str, str]) -> dict[str, Any]:
    """Return the caller of an API credential."""
    headers = {
        "X-Requested-By": "test",
        "X-SS-App-Component-Id": credential["id"],
        "X-SS-App-Auth-Token": credential["token"],
    }
    request = urllib.request.Request(f"{url}/security/rest/v1/currentUser", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.loads(answer.read()))


def test_credentials_of_each_organization(tmp_path: Path) -> None:
    """One of each administrator, and the system administrator's; a second sign-up adds what lacks."""
    with start_hub(tmp_path, release=4) as hub:
        assert json.loads((tmp_path / "hub.json").read_text())["options"]["release"] == 4
        file = sign_up(tmp_path, {"org-0001": "One"})
        assert file == tmp_path / "credentials.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        held = json.loads(file.read_text())
        sign_up(tmp_path, {"org-0001": "One", "org-0002": "Two"})
        more = json.loads(file.read_text())
        assert (more["url"], more.keys()) == (hub.url, {"url", "login_url", "system", "organizations"})
        assert more["system"] == held["system"]
        assert "system-admin" in who_is(hub.url, more["system"])["roles"]
        assert more["organizations"]["org-0001"] == held["organizations"]["org-0001"]
        callers = {key: who_is(hub.url, each) for key, each in more["organizations"].items()}
        assert {key: each["organizationName"] for key, each in callers.items()} == {
            "org-0001": "One",
            "org-0002": "Two",
        }
        assert all("org-admin" in each["roles"] for each in callers.values())
        lost = sign_up(tmp_path, {"org-0001": "One"}, tmp_path / "again.json")
        again = json.loads(lost.read_text())["organizations"]["org-0001"]
        assert again != held["organizations"]["org-0001"]
        assert who_is(hub.url, again) == callers["org-0001"]


def test_no_sign_up_where_users_have_passwords(tmp_path: Path) -> None:
    """A hub of release 3, no hub, and the file of another hub are named."""
    with pytest.raises(InputError, match="no hub runs"):
        sign_up(tmp_path, {})
    with start_hub(tmp_path), pytest.raises(InputError, match="release 3"):
        sign_up(tmp_path, {})
    other = tmp_path / "other"
    with start_hub(other, release=4):
        file = tmp_path / "file.json"
        file.write_text(json.dumps({"url": "https://elsewhere", "organizations": {}}))
        with pytest.raises(InputError, match="credentials of https://elsewhere"):
            sign_up(other, {}, file)
