"""Sign-up at a hub of release 4: organizations, and the API credentials that a browser shows once."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from psrlib.errors import InputError, ProcessError
from psrlib.files import PRIVATE, replace_file
from psrlib.hub import EMBEDDED_PASSWORD
from psrlib.hub.apps.security.platform import DEFAULT_ROLES
from psrlib.hub.process.hub_process import find_hub, last_start
from psrlib.hub.security.bootstrap import SYSTEM_ADMIN
from psrlib.hub.web.access import ORG_ADMIN_ROLE, SYSTEM_ORGANIZATION

FILE = "credentials.json"
TIMEOUT_S = 30.0
PAGE = 250  # what release 4 gives at a time
Json = dict[str, Any]


def sign_up(
    run_dir: str | Path,
    organizations: Mapping[str, str],
    output: Path | None = None,
    *,
    admin_password: str | None = None,
) -> Path:
    """Make organizations at the hub of a folder, and write a file of API credentials for them and for the
    system administrator.

    Parameters
    ----------
    run_dir : path
        Folder of a hub of release 4 that runs.
    organizations : mapping
        Id of each organization in a seed document to its name; the hub makes an id of its own.
    output : Path or None
        The credentials file, which only its owner may read; None means ``credentials.json`` in the folder.
        One that is there is added to.
    admin_password : str or None
        Password of the system administrator; None means the initial one.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        When no hub runs there, it is one of release 3, or the file is one of another hub.
    ProcessError
        When the hub refuses.
    """
    folder = Path(run_dir).resolve()
    hub, start = find_hub(folder), last_start(folder)
    if hub is None:
        raise InputError(f"no hub runs in {folder}; start one: psr hub start --release 4 --run-dir {folder}")
    if start["release"] != 4:
        raise InputError(f"the hub of {folder} is of release {start['release']}, whose users have passwords")
    file = output or folder / FILE
    held = _read(file, hub.url)
    browser = _Browser(hub.url, start["certificate"], admin_password or EMBEDDED_PASSWORD)
    try:
        held["system"] = held.get("system") or browser.new_credential(SYSTEM_ORGANIZATION, SYSTEM_ADMIN)
        for key, name in organizations.items():
            if key not in held["organizations"]:
                made = browser.organization(name)
                held["organizations"][key] = browser.new_credential(made["id"], made["primaryAdminId"])
    finally:
        replace_file(file, json.dumps(held, indent=1) + "\n", PRIVATE)  # no token is shown twice
    return file


def _read(file: Path, url: str) -> Json:
    if not file.exists():
        return {"url": url, "login_url": url, "system": None, "organizations": {}}
    try:
        held: Json = json.loads(file.read_bytes())
        theirs = held["url"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: expected a credentials file, as psr hub credentials writes it") from error
    if theirs != url:
        raise InputError(f"{file} holds credentials of {theirs}, not of {url}; name another --out")
    return held


class _Browser:
    """The system administrator's session: it does for organizations what people do in the browser."""

    def __init__(self, url: str, certificate: str | None, password: str) -> None:
        context = ssl.create_default_context(cafile=certificate)
        context.check_hostname = False  # the certificate may name other hosts only
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        self._url = url
        self._headers = {"X-Requested-By": "psr", "Content-Type": "application/json"}
        login = {"userName": SYSTEM_ADMIN, "password": password}
        _, headers = self._call("POST", "/security/public-rest/v1/authentication/login", login)
        self._headers["X-SS-User-Auth-Token"] = headers["X-SS-User-Auth-Token"]
        self._known = {each["name"]: each for each in self._list("/security/rest/v1/organizations")}

    def organization(self, name: str) -> Json:
        """Return the organization with a name; it is made when the hub has none."""
        if name not in self._known:
            admin = {
                "id": "administrator",  # the hub makes the ids
                "name": "Administrator",
                "email": f"administrator@{len(self._known)}.example",
                "roles": [*DEFAULT_ROLES, ORG_ADMIN_ROLE],
            }
            new = {"id": "organization", "name": name, "primaryAdminId": admin["id"]}
            body = {"organization": new, "organizationAdminUser": admin}
            self._known[name], _ = self._call("PUT", "/security/rest/v1/organizations", body)
        return self._known[name]

    def new_credential(self, organization: str, user: str) -> Json:
        """Return a new API credential of a user: ``id`` and ``token``."""
        path = f"/security/rest/v1/organization/{organization}/api-user-credentials"
        body = {"label": "psr", "generateAuthToken": True, "active": True, "userId": user}
        made, _ = self._call("POST", path, body)
        return {"id": made["componentId"], "token": made["authToken"]}

    def _list(self, path: str) -> list[Json]:
        rows: list[Json] = []
        while part := self._call("GET", f"{path}?offset={len(rows)}&len={PAGE}")[0]:
            rows += part
        return rows

    def _call(self, method: str, path: str, body: Any = None) -> tuple[Any, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, self._headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            raise ProcessError(f"sign-up: {method} {path} was refused with {error.code}: {said}") from error
        except OSError as error:
            raise ProcessError(f"sign-up: {method} {path} got no answer: {error}") from error
