"""Examine a Control Hub: log in, look, and if that is meant write into an organization of its own."""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from psrlib.client import Credentials, Request
from psrlib.client.dialect import Release4
from psrlib.client.http import HttpClient
from psrlib.client.login import HEADERS, LOGIN_PATH
from psrlib.client.wire import is_absent
from psrlib.doctor.documents import Documents
from psrlib.doctor.needs import NEEDS, Rows, find_need
from psrlib.doctor.report import SAID, Checked, Finding, Report
from psrlib.doctor.scratch import scratch_document
from psrlib.doctor.watch import Seen, WatchedHub
from psrlib.errors import AuthenticationError, HubError, HubUnreachableError, PsrError
from psrlib.seed.document import SeedDocument
from psrlib.state import diff, observe, populate, setup_engines, start_jobs, teardown
from psrlib.state.adoption import check_credentials
from psrlib.state.observe import SYSTEM_ORGANIZATION
from psrlib.state.reading import engine_registrations

log = logging.getLogger(__name__)

DEADLINE_S = 10.0  # for one call with its repeats: a wrong answer is one after ten seconds as well
SHOWN = 5  # deviations that are named
RELEASE_4 = (
    "this is Control Hub 4.x or later: there is no login by user and password, but API credentials; give the "
    "file with --credentials"
)


def examine(url: str, user: str, password: str, *, write: bool = False, **options: Any) -> Report:
    """Return what a Control Hub has of what the populator needs.

    Parameters
    ----------
    url, user, password
        As for `ControlHub`, and so are the other options.
    write : bool
        Populate an organization of its own with one entity of every kind, start a job, and remove all again
        as far as the hub can. Otherwise nothing is written but the session of the login.

    Returns
    -------
    Report
        Also when nothing answers or the login is refused.
    """
    try:
        hub = WatchedHub(url, user, password, deadline_s=DEADLINE_S, **options)
    except HubError as error:
        return Report(url, "", "", tuple(_without_login(url, error, **options)), ())
    with hub:
        return _Examination(hub).run(write)


class _Examination:
    """One examination; ``checked`` holds what is known of each call."""

    def __init__(self, hub: WatchedHub) -> None:
        self.hub = hub
        self.findings: list[Finding] = []
        self.needs = [need for need in NEEDS if hub.dialect.release in need.releases]
        self.checked = {call: Checked(need, call) for need in self.needs for call in need.calls}
        self.release = ""
        self.scratch = ""
        self.adds_versions: bool | None = None

    def run(self, write: bool) -> Report:
        self._say("ok", "login", f"as {self.hub.user}")
        self._look_at_server()
        self._look()
        if write and self.hub.dialect.adopts:
            text = "organizations of 4.x are not made for a trial; nothing was written"
            self._say("note", "scratch", text, "psr populate with one credential in the file is the trial")
        elif write:
            self._write()
        self._note_seen()
        self._compare_with_documents()
        self._conclude()
        return Report(
            self.hub.url,
            self.release,
            self.scratch,
            tuple(self.findings),
            tuple(self.checked.values()),
            self.adds_versions,
        )

    def _say(self, level: Any, subject: str, text: str, advice: str = "") -> None:
        self.findings.append(Finding(level, subject, text, advice))

    def _look_at_server(self) -> None:
        with suppress(HubError):
            self.release = self.hub.server_version()
        if self.hub.dialect.adopts:
            self._look_at_credentials()
            return
        if self.release.startswith("3."):
            self._say("ok", "release", f"Control Hub {self.release}")
        elif self.release[:1].isdigit():
            self._say("problem", "release", f"Control Hub {self.release}: {RELEASE_4}")
        else:
            self._say("note", "release", "the hub does not tell its release", "the populator is made for 3.x")
        with suppress(HubError):
            organization = str(self.hub.security.current_user().get("organizationId") or "")
            if organization == SYSTEM_ORGANIZATION:
                self._say("ok", "user", f"{self.hub.user} is of the system organization")
            else:
                self._say(
                    "problem",
                    "user",
                    f"{self.hub.user} is of organization {organization or 'unknown'}",
                    f"creating organizations takes a system administrator, of {SYSTEM_ORGANIZATION}",
                )

    def _look_at_credentials(self) -> None:
        """Say who each API credential is; the calls are tried with that of the first organization."""
        self._say("ok", "release", f"Control Hub {self.release or 'of unknown release'}, API credentials")
        assert isinstance(self.hub.dialect, Release4)
        for one in check_credentials(self.hub.dialect, self.hub.http):
            level = "ok" if one.is_usable else "problem"
            self._say(
                level, "credential", str(one), "" if one.is_usable else "its organization is not filled"
            )

    def _look(self) -> None:
        """Make every call that only reads, in the own organization."""
        rows: Rows = {}
        for name, listing in _listings(self.hub).items():
            with suppress(HubError):
                rows[name] = listing()
        for need in self.needs:
            if need.look is not None:
                with suppress(HubError):
                    need.look(self.hub, rows)
        for read in (self.hub.role_ids, self.hub.texts):
            with suppress(HubError):
                read()

    def _write(self) -> None:
        """Fill an organization, compare, start a job, and remove everything again."""
        document = scratch_document()
        (organization,) = document.organizations
        self.scratch = organization.id
        steps: dict[str, Callable[[], Any]] = {
            "populate": lambda: populate(document, self.hub, progress=False, allow_foreign=True),
            "engine tokens": lambda: self._get_tokens(document),
            "read back": lambda: self._read_back(document),
            "start": lambda: self._start(document),
        }
        try:
            for name, step in steps.items():
                under_way = name
                step()
        except PsrError as error:
            self._say("problem", under_way, str(error))
        finally:
            self._remove(document)

    def _get_tokens(self, document: SeedDocument) -> None:
        (organization,) = document.organizations
        with TemporaryDirectory(prefix="psr-doctor-") as folder:
            setup_engines(document, self.hub, Path(folder))
        session = self.hub.for_organization(organization.id)
        rows = engine_registrations(session, organization)
        session.security.delete_components(organization.id, [str(row["id"]) for row in rows or ()])

    def _read_back(self, document: SeedDocument) -> None:
        """Say what the hub keeps otherwise than it was sent; engines have not registered."""
        difference = diff(document, observe(document, self.hub), runtime=False)
        found = [item for item in difference.items if item.kind != "engines"]
        for item in found[:SHOWN]:
            what = f'{item.kind} "{item.name}" {item.field}'.rstrip()
            text = f"{item.change}: {what}, sent {item.desired!r}, read {item.observed!r}"
            self._say("problem", "read back", text, "psr verify would call such a run inconsistent")
        if not found:
            self._say("ok", "read back", "the hub holds every field of every kind as it was sent")

    def _start(self, document: SeedDocument) -> None:
        try:
            start_jobs(document, self.hub)
        except HubError as error:
            if not error.codes:
                raise
            log.info("a job without engines was refused: %s", error)

    def _remove(self, document: SeedDocument) -> None:
        where = f"organization {self.scratch}"
        try:
            present = {str(row["id"]) for row in self.hub.security.organizations()}
            if self.scratch not in present:
                self._say("ok", "scratch", f"{where} was not made; nothing is left")
                return
            report = teardown(document, self.hub)
            removed = sum(report.removed.values())
            kept = report.kept.get(self.scratch)
        except PsrError as error:
            self._say("problem", "scratch", f"{where} is left on the hub ({error})", "remove it by hand")
            return
        if kept:
            left = ", ".join(f"{n} {kind}" for kind, n in kept.items())
            self._say("problem", "scratch", f"{where} keeps {left}", "remove them by hand")
        else:
            text = f"{where}: {removed} entities removed, then deactivated; Control Hub 3.x cannot delete it"
            self._say("ok", "scratch", text)

    def _note_seen(self) -> None:
        """Tell of each call what became of its requests; the worst counts, what the populator met too."""
        for seen in self.hub.seen:
            found = find_need(seen.request.method, seen.request.path)
            if found is not None and found[1] in self.checked:
                _note(self.checked[found[1]], seen)
            if seen.request.path.endswith("/importPipelineNewVersion"):
                self.adds_versions = False
        if self.scratch and self.adds_versions is None:
            imports = [c for call, c in self.checked.items() if call.path.endswith("/importPipelineCommits")]
            self.adds_versions = True if imports[0].result == "answered" else None

    def _compare_with_documents(self) -> None:
        """Look up in documents what was not tried; one that lacks a call that answered is no help."""
        documents = Documents(self.hub)
        by_app: dict[str, list[Checked]] = {}
        for call, checked in self.checked.items():
            if call.app != "hub" and call.path != LOGIN_PATH and not checked.need.is_hidden:
                by_app.setdefault(call.app, []).append(checked)
        without = []
        for app, mine in by_app.items():
            listed = {checked.call: documents.lists(checked.call) for checked in mine}
            if not all(listed[checked.call] for checked in mine if checked.result == "answered"):
                without.append(app)
                continue
            for checked in mine:
                if checked.result == "not tried" and listed[checked.call] is not None:
                    checked.result = "listed" if listed[checked.call] else "unlisted"
        if without:
            self._say(
                "note",
                "documents",
                f"no document that lists the calls of {', '.join(without)}",
                "what only writes there is not known before --write",
            )
        if documents.is_release_4 and not self.release and not self.hub.dialect.adopts:
            self._say("problem", "release", RELEASE_4)

    def _conclude(self) -> None:
        """Say in a line for each app what is as it should be, and in a line for each call what is not."""
        by_app: dict[str, list[Checked]] = {}
        for call, checked in self.checked.items():
            by_app.setdefault(call.app, []).append(checked)
        for app, mine in by_app.items():
            counts = {result: sum(c.result == result for c in mine) for result in SAID}
            parts = ", ".join(f"{n} {SAID[result]}" for result, n in counts.items() if n)
            if parts:
                self._say("ok", app, f"{sum(counts.values())} of {len(mine)} calls: {parts}")
        self.findings += [checked.finding() for checked in self.checked.values() if not checked.is_there]


def _listings(hub: WatchedHub) -> dict[str, Callable[[], list[dict[str, Any]]]]:
    """Return the calls that list the own organization's entities, by name."""
    of_system = {} if hub.dialect.adopts else {"organizations": hub.security.organizations}
    return {
        **of_system,
        "pipelines": hub.pipelinestore.pipelines,
        "fragments": hub.pipelinestore.fragments,
        "jobs": hub.jobrunner.jobs,
        "engines": hub.jobrunner.engines,
        "tasks": hub.scheduler.tasks,
        "selector": lambda: [hub.scheduler.type_selector()],
        "subscriptions": hub.notification.subscriptions,
        "topologies": hub.topology.topologies,
        "connections": hub.connection.connections,
    }


def _note(checked: Checked, seen: Seen) -> None:
    """Take a request into what is known of its call: a wrong answer stays, a right one clears a refusal."""
    if seen.complaint:
        checked.result, checked.detail = "wrong", seen.complaint
    elif seen.error is None:
        if checked.result != "wrong":
            checked.result, checked.detail = "answered", ""
    elif checked.result == "not tried":
        if is_absent(seen.error):
            checked.result = "missing"
        elif seen.error.codes and seen.request.method != "GET":
            checked.result = "answered"  # it refuses this record and tells why; the step says so
        else:
            checked.result, checked.detail = "refused", str(seen.error)


def _without_login(
    url: str,
    error: HubError,
    *,
    verify: bool | str = True,
    credentials: Credentials | None = None,
    **_: Any,
) -> list[Finding]:
    """Return why there is no session, and whether this is a hub of another release."""
    if credentials is not None:
        return [Finding("problem", "login", str(error), "psr credentials check tells of each credential")]
    if isinstance(error, AuthenticationError):
        advice = "check user and password; a system administrator is needed (PSR_SCH_PASSWORD)"
        first = Finding("problem", "login", str(error), advice)
    else:
        first = Finding("problem", "login", str(error))
    return [first] if error.status is None else [first, *_recognise(url, verify)]


def _recognise(url: str, verify: bool | str) -> list[Finding]:
    """Return what an address tells without a login: its release, or how it refuses."""
    http = HttpClient(url, deadline_s=DEADLINE_S, verify=verify)
    release, speaks = "", False
    try:
        for path in ("/public-rest/v1/health", "/rest/v1/server/info", "/security/rest/v1/currentUser"):
            try:
                body = http.send(Request("GET", path, "metadata", repeatable=True, headers=HEADERS)).body
            except HubUnreachableError:
                return []
            except HubError as error:
                speaks |= bool(error.codes)
                continue
            speaks |= isinstance(body, dict)
            release = release or str(body.get("version") or "" if isinstance(body, dict) else "")
    finally:
        http.close()
    if release and not release.startswith("3."):
        return [Finding("problem", "release", f"Control Hub {release}: {RELEASE_4}")]
    if release:
        return [Finding("ok", "release", f"Control Hub {release}")]
    if speaks:
        text = f"it answers like a Control Hub; where POST {LOGIN_PATH} is lacking, {RELEASE_4}"
        return [Finding("note", "release", text)]
    return [Finding("note", "release", "nothing here answers like a Control Hub", "check the address")]
