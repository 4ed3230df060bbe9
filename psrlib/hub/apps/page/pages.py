"""The page at ``/``, its login and what it links to, and ``/metrics``; the reference has none of it."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from sqlalchemy import select

from psrlib.hub.apps.page.figures import Figures, read_figures
from psrlib.hub.apps.page.run import read_provenance, read_report, read_verification
from psrlib.hub.apps.security import sessions
from psrlib.hub.store.queries import Query, Row
from psrlib.hub.store.schema.security import organizations
from psrlib.hub.web.access import SYSTEM_ORGANIZATION
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.issues import IssueError, bad_request, forbidden, not_found
from psrlib.hub.web.openapi import access_words, body_words
from psrlib.hub.web.origin import is_own_page
from psrlib.hub.web.routing import ANYONE, App

app = App("page")
ROWS = 25  # organizations on the page at a time
HTML = "text/html; charset=utf-8"
FILES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # not no-referrer: with it a browser hides from us that a form is our own
    ("Referrer-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
STRICT = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    *ALWAYS,
)
# The report brings its own style and script; without an origin they reach nothing of the hub.
SEPARATE = (
    (
        "Content-Security-Policy",
        "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "img-src data:; frame-ancestors 'none'",
    ),
    *ALWAYS,
)

ORGANIZATIONS = Query(
    select(organizations.c.id, organizations.c.name, organizations.c.active).where(
        organizations.c.id != SYSTEM_ORGANIZATION
    )
)


@app.route(
    "GET",
    "/",
    ANYONE,
    choice="a page for people: totals for anyone, organizations for who is logged in, the whole for the "
    "system administrator; its figures may be some seconds old",
)
def index(call: Call, find: str | None = None, start: int = 0) -> Raw:
    """Show the run, counts, jobs by color, engines and organizations."""
    figures = read_figures(call)
    found = _organizations(call, figures, (find or "").strip().lower())
    start = max(0, min(start, len(found) - 1)) // ROWS * ROWS
    folder, caller = call.hub.run_dir, call.caller
    return _page(
        "index.html",
        call,
        run=folder.name if folder else None,
        provenance=read_provenance(folder),
        verification=call.hub.recent.recall("report", lambda: read_verification(folder)),
        figures=figures,
        may_read_report=caller is not None and caller.is_system_admin,
        organizations=found[start : start + ROWS],
        n_found=len(found),
        find=find or "",
        start=start,
        rows=ROWS,
        link=lambda to: "/?" + urlencode({"find": find or "", "start": to}),
    )


def _organizations(call: Call, figures: Figures, text: str) -> list[Row]:
    """Return the organizations that the caller may see, those with red jobs first."""
    if call.caller is None or call.caller.is_component:
        return []
    rows = call.hub.recent.recall("organizations", lambda: ORGANIZATIONS.rows(call.db))
    mine = [row for row in rows if call.may_see(row.id) and text in f"{row.id} {row.name}".lower()]
    red = figures.red()
    return sorted(mine, key=lambda row: (-red[row.id], row.id))


@app.route("GET", "/page/endpoints", ANYONE, choice="docs/embedded-hub.md as a page")
def endpoints(call: Call) -> Raw:
    """Show the table of all endpoints."""
    rows = [(route, access_words(route), body_words(route.signature.body)) for route in call.hub.routes]
    return _page("endpoints.html", call, endpoints=rows)


@app.route("GET", "/page/report", ANYONE, choice="who is not logged in is led to the login")
def report(call: Call) -> Raw:
    """Show the report of the run's last verification to the system administrator."""
    if call.caller is None:
        return _lead("/security/login")
    if not call.caller.is_system_admin:
        raise forbidden(f"'{call.caller.id}' is not the system administrator")
    content = read_report(call.hub.run_dir)
    if content is None:
        raise not_found("Report", "of a verification")
    return Raw(content, content_type=HTML, headers=SEPARATE)


@app.route("GET", "/page/{file}", ANYONE, choice="style, script and icon of the page")
def static_file(call: Call, file: str) -> Raw:
    """Return a file that the page consists of."""
    if file not in FILES:
        raise not_found("File", file)
    content = (Path(__file__).parent / "templates" / file).read_bytes()
    return Raw(content, content_type=FILES[file], headers=STRICT)


@app.route("GET", "/security/login", ANYONE, choice="a form for people; engines ask whether the hub lives")
def login_page(call: Call) -> Raw:
    """Show the form of the login."""
    return _page("login.html", call, problem="")


@app.route(
    "POST",
    "/security/login",
    ANYONE,
    writes=False,
    direct=True,
    choice="userName and password as a form sends them; 303 to the page, or the form again with what is "
    "wrong; forms of other sites are refused",
)
async def login(call: Call, body: str) -> Raw:
    """Log a person in."""
    if "origin" in call.headers and not is_own_page(call.headers):
        raise forbidden("the form is none of this hub's pages")
    fields = dict(parse_qsl(body))
    if any("\x00" in value for value in fields.values()):
        raise bad_request("the form holds a NUL character")
    given = sessions.LoginJson(fields.get("userName", ""), fields.get("password", ""))
    try:
        answer = await sessions.login(call, given)
    except IssueError as issue:
        refused = _page("login.html", call, problem=issue.message)
        refused.status = issue.status
        return refused
    cookie = [(name, value) for name, value in answer.headers if name == "Set-Cookie"]
    return _lead("/", *cookie)


@app.route(
    "POST", "/page/logout", ANYONE, writes=True, choice="303 to the page; forms of other sites are refused"
)
def logout(call: Call) -> Raw:
    """End a person's session."""
    if call.caller is None:
        return _lead("/")
    return _lead("/", *sessions.logout(call).headers)


@app.route(
    "GET",
    "/metrics",
    ANYONE,
    choice="text for Prometheus, totals only; its figures of the database may be some seconds old",
)
def metrics(call: Call) -> Raw:
    """Return requests and answer times by app, and how many of everything there are."""
    from psrlib.hub.apps.page.exposition import prometheus_text

    text = prometheus_text(call.hub.release.version, call.hub.traffic, read_figures(call))
    return Raw(text, content_type="text/plain; version=0.0.4; charset=utf-8")


def _page(template: str, call: Call, **values: object) -> Raw:
    from psrlib.hub.apps.page.rendering import render

    database = "SQLite" if call.hub.database.is_sqlite else "PostgreSQL"
    common = {
        "release": call.hub.release.version,
        "strict": call.hub.strictness.strict,
        "database": database,
        "n_endpoints": len(call.hub.routes),
        "caller": call.caller,
        "now": _utc(call.now),
        "started": _utc(call.hub.started_on),
    }
    return Raw(render(template, **common, **values), content_type=HTML, headers=STRICT)


def _lead(path: str, *headers: tuple[str, str]) -> Raw:
    return Raw(b"", 303, HTML, [*headers, ("Location", path), *STRICT])


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
