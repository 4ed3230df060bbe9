"""The hub's own documents of its calls: a Swagger document per app (control-hub-rest, 9.1)."""

import re
from typing import Any

from psrlib.client import ControlHub, Request
from psrlib.doctor.needs import ID, Call
from psrlib.errors import HubError

LONGEST_BYTES = 16_000_000
VERSION = re.compile(r"/v\d+/.*")  # what of a path counts: documents may begin it anywhere before that
MARK_OF_4 = "ApiCredentialsJson"  # in the document of app security from release 4 on (control-hub-4x, 1)


class Documents:
    """What the Swagger documents of a hub list, read once for each app."""

    def __init__(self, hub: ControlHub) -> None:
        self._hub = hub
        self._paths: dict[str, dict[str, set[str]] | None] = {}
        self.is_release_4 = False

    def lists(self, call: Call) -> bool | None:
        """Whether an app's document lists a call; None when it has no document that is understood."""
        if call.app not in self._paths:
            self._paths[call.app] = self._read(call.app)
        paths = self._paths[call.app]
        if not paths:
            return None
        return any(call.method in methods and _fits(call.path, path) for path, methods in paths.items())

    def _read(self, app: str) -> dict[str, set[str]] | None:
        path = f"/{app}/rest/swagger.json"
        request = Request("GET", path, "metadata", repeatable=True, max_bytes=LONGEST_BYTES)
        try:
            found: Any = self._hub.answer(request).body
            base = str(found.get("basePath") or "").rstrip("/")
            self.is_release_4 |= MARK_OF_4 in found.get("definitions", {})
            return {
                base + str(path): {str(method).upper() for method in methods}
                for path, methods in found["paths"].items()
            }
        except (HubError, LookupError, TypeError, AttributeError):
            return None


def _fits(call: str, listed: str) -> bool:
    """Whether a listed path is that of a call.

    Examples
    --------
    >>> _fits("/topology/rest/v1/topology/{}/acl", "/topology/rest/v1/topology/{topologyId}/acl")
    True
    >>> _fits("/scheduler/rest/v2/jobs/pageId=ListPage", "/v2/jobs/{pageId}")
    True
    """
    mine, theirs = (_from_version(path).split("/") for path in (call, listed))
    return len(mine) == len(theirs) and all(map(_agree, mine, theirs))


def _from_version(path: str) -> str:
    found = VERSION.search(path)
    return found.group() if found else path


def _agree(mine: str, listed: str) -> bool:
    is_any = listed.startswith("{")
    if mine == ID or ("=" in mine and is_any):
        return is_any
    return mine == listed
