"""An embedded hub with an organization and mock engines, for clients nobody here wrote.

These files also run in the environment of the vendor's 3.x SDK, where psrlib is not installed
(test_vendor_sdk3.py): there the hub's address comes from the environment, and nothing is imported of ours.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests

RUNNING_HUB = "PSR_SDK_HUB"  # URL of a hub that another process has set up


class Rest:
    """A logged-in session with nothing but requests."""

    def __init__(self, url: str, user: str) -> None:
        self.url, self.session = url, requests.Session()
        self.session.headers["X-Requested-By"] = "test"
        body = {"userName": user, "password": user}
        answer = self.call("POST", "/security/public-rest/v1/authentication/login", body)
        self.session.headers["X-SS-User-Auth-Token"] = answer.headers["X-SS-User-Auth-Token"]

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        answer = self.session.request(method, self.url + path, json=body, timeout=30)
        answer.raise_for_status()
        return answer


def organization(rest: Rest, org: str) -> Rest:
    body = {
        "organization": {"id": org, "name": org, "primaryAdminId": f"admin@{org}"},
        "organizationAdminUser": {
            "id": f"admin@{org}",
            "name": "Administrator",
            "email": f"admin@{org}.example",
            "organization": org,
            "roles": ["user", "org-admin"],
        },
    }
    rest.call("PUT", "/security/rest/v1/organizations", body)
    return Rest(rest.url, f"admin@{org}")


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """The administrator of organization acme, on a hub with two mock engines polling it."""
    if os.environ.get(RUNNING_HUB):
        yield Rest(os.environ[RUNNING_HUB], "admin@acme")
        return
    from support.mock_engines import start_engines

    from psrlib.hub.process.hub_process import start_hub

    run_dir = tmp_path_factory.mktemp("sdk")
    with ExitStack() as stack:
        hub = stack.enter_context(start_hub(run_dir))
        rest = organization(Rest(hub.url, "admin@admin"), "acme")
        path = "/security/rest/v1/organization/acme/components"
        body = {"organization": "acme", "componentType": "dc", "numberOfComponents": 2, "active": True}
        tokens = [row["fullAuthToken"] for row in rest.call("PUT", path, body).json()]
        stack.enter_context(start_engines(run_dir, hub.url, "acme", tokens))
        yield rest
