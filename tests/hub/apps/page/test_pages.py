"""The hub's own page: who sees what, forms, headers; what stands there is what is in the hub."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest
from support.hub_driver import Driver, Session, create_organization
from support.in_process import Answer, Clock

from psrlib.hub.server import create_app
from psrlib.hub.store.cache import Recent

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Host": "127.0.0.1:18631"}
OWN = FORM | {"Origin": "http://127.0.0.1:18631"}
EVIL = "<script>alert(1)</script>&\"'"


class Text(HTMLParser):
    """The cells of tables by the id of what they are in, and every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if word := " ".join(data.split()):
            self.words.append(word)


def look(session: Session, path: str = "/") -> Answer:
    """Ask for a page as a browser does: with the cookie only."""
    session.driver.app.hub.recent = Recent()
    cookie = {"Cookie": f"SS-SSO-LOGIN={session.token}", "Host": "127.0.0.1:18631"}
    return session.driver.raw("GET", path, cookie)


def row_of(answer: Answer, organization: str) -> list[str]:
    """Return the words of an organization's row."""
    words = Text(answer.content.decode()).words
    start = words.index(organization)
    return words[start : start + 11]


def tiles(answer: Answer) -> dict[str, int]:
    """Return the counts at the top of the page."""
    found = re.findall(r"<li><strong>([\d,]+)</strong> ([a-z ]+)</li>", answer.content.decode())
    return {kind: int(number.replace(",", "")) for number, kind in found}


def test_the_page_counts_what_is_in_the_hub(acme: Session, clock: Clock) -> None:
    """On both databases; jobs by color, engines responding or not; the hub's own left out."""
    assert tiles(look(acme))["jobs"] == 0
    engine = acme.engine()
    running, _ = acme.job("runs"), acme.job("waits")
    acme.start(running)
    engine.run()
    assert {kind: n for kind, n in tiles(look(acme)).items() if n} == {
        "organizations": 1,
        "users": 1,
        "engines": 1,
        "pipelines": 2,
        "jobs": 2,
    }
    assert row_of(look(acme), "acme")[2:] == ["1", "2", "2", "1", "0", "0", "1", "1", "0"]
    acme.driver.tick(3600)
    answer = look(acme)
    assert row_of(answer, "acme")[2:] == ["1", "2", "2", "0", "1", "0", "1", "1", "1"]
    assert b"engines: 0 responding, 1 silent" in answer.content
    assert b"jobs by color: 0 green, 1 red, 0 gray, 1 never run" in answer.content


def test_names_of_organizations_are_for_who_may_see_them(lite: Driver) -> None:
    """Anyone sees totals, a user its own organization, the system administrator all; red ones first."""
    admin = lite.login("admin@admin")
    acme, beta = create_organization(admin, "acme"), create_organization(admin, "beta")
    nobody = Session(lite, "", "")
    assert tiles(look(nobody)) == tiles(look(admin)) == tiles(look(acme))
    for session, seen in ((nobody, set()), (acme, {"acme"}), (beta, {"beta"}), (admin, {"acme", "beta"})):
        words = set(Text(look(session).content.decode()).words)
        assert words & {"acme", "beta"} == seen
    component = beta.engine()
    headers = {"X-SS-App-Component-Id": component.id, "X-SS-App-Auth-Token": component.token}
    assert b">beta<" not in lite.raw("GET", "/", headers).content
    beta.start(beta.job())
    lite.tick(3600)
    words = Text(look(admin).content.decode()).words
    assert words.index("beta") < words.index("acme")


def test_a_long_list_comes_in_parts_and_can_be_searched(lite: Driver) -> None:
    """25 at a time, with links; beyond the end is the last part."""
    admin = lite.login("admin@admin")
    for number in range(30):
        create_organization(admin, f"org{number:02d}")
    first, rest = look(admin).content.decode(), look(admin, "/?start=25").content.decode()
    assert "1 to 25 of 30" in first
    assert ">org24<" in first
    assert ">org25<" not in first
    assert 'href="/?find=&amp;start=25"' in first
    assert "26 to 30 of 30" in rest
    assert 'href="/?find=&amp;start=0"' in rest
    assert look(admin, "/?start=999999").content.decode().count(">org2") == 5
    assert "26 to 30 of 30" in look(admin, "/?start=999999").content.decode()
    assert "1 to 1 of 1 that match “ORG07”" in look(admin, "/?find=ORG07").content.decode()
    assert "None that match" in look(admin, "/?find=nothing").content.decode()


def test_what_others_named_is_text(lite: Driver) -> None:
    """Names of organizations, what is searched for, and the name at the login come back escaped."""
    admin = lite.login("admin@admin")
    create_organization(admin, "acme")
    path = "/security/rest/v1/organization/acme"
    admin.post(path, admin.get(path) | {"name": EVIL})
    listed = look(admin, "/?" + urlencode({"find": EVIL}))
    page = Text(listed.content.decode())
    assert EVIL in " ".join(page.words)
    body = urlencode({"userName": EVIL, "password": "x"}).encode()
    refused = lite.raw("POST", "/security/login", OWN, body)
    for answer in (listed, refused):
        scripts = [attributes for tag, attributes in Text(answer.content.decode()).tags if tag == "script"]
        assert all(attributes == {"src": "/page/page.js", "defer": None} for attributes in scripts)


def test_every_page_is_strict_and_has_nothing_inline(lite_acme: Session) -> None:
    """No style, script or handler in the HTML; nothing is loaded from elsewhere; nothing may frame it."""
    for path in ("/", "/page/endpoints", "/security/login"):
        answer = look(lite_acme, path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        for tag, attributes in Text(answer.content.decode()).tags:
            assert tag != "style"
            assert not [name for name in attributes if name == "style" or name.startswith("on")]
            for name in ("href", "src", "action"):
                assert (attributes.get(name) or "/").startswith("/")
            assert tag != "script" or attributes.get("src")
    for name in ("page.css", "page.js", "icon.svg"):
        assert look(lite_acme, f"/page/{name}").status == 200
    for name in ("pages.py", "..%2fpages.py", "index.html"):
        assert look(lite_acme, f"/page/{name}").status == 404


def test_people_log_in_and_out_without_script(lite_acme: Session) -> None:
    """By a form: a cookie and the way to the page; the way out ends the session."""
    driver = lite_acme.driver
    body = urlencode({"userName": "admin@acme", "password": "admin@acme"}).encode()
    answer = driver.raw("POST", "/security/login", OWN, body)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    token = answer.headers["Set-Cookie"].split("=", 1)[1].split(";")[0]
    person = Session(driver, "admin@acme", token)
    assert b"Log out" in look(person).content
    cookie = {"Cookie": f"SS-SSO-LOGIN={token}"}
    elsewhere = {"Host": "127.0.0.1:18631", "Origin": "http://evil.test"}
    for headers in (cookie, cookie | elsewhere, cookie | elsewhere | {"Origin": "null"}):
        assert driver.raw("POST", "/page/logout", headers).status == 400
    assert b"Log out" in look(person).content
    assert driver.raw("POST", "/page/logout", cookie | OWN).status == 303
    assert b"Log out" not in look(person).content
    assert driver.raw("POST", "/page/logout", cookie | OWN).status == 303


def test_a_wrong_login_says_so_and_is_slowed(lite_acme: Session) -> None:
    """The form again with 401, and 429 after five; an empty form and one of another site are refused too."""
    driver = lite_acme.driver
    wrong = urlencode({"userName": "admin@acme", "password": "wrong"}).encode()
    statuses = [driver.raw("POST", "/security/login", OWN, wrong).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    answer = driver.raw("POST", "/security/login", OWN, b"")
    assert answer.status == 401
    assert b'role="alert"' in answer.content
    assert b"<form" in answer.content
    right = urlencode({"userName": "admin@acme", "password": "admin@acme"}).encode()
    for origin in ("http://evil.test", "null"):
        answer = driver.raw("POST", "/security/login", OWN | {"Origin": origin}, right)
        assert (answer.status, answer.headers.get("Set-Cookie")) == (403, None)
    assert driver.raw("POST", "/security/login", OWN, b"userName=a%00b&password=x").status == 400


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The folder of a run that was verified."""
    folder = tmp_path / "7-10"
    (folder / "report").mkdir(parents=True)
    provenance = {"random_seed": 7, "num_orgs": 10, "model": "small", "model_sha256": "x", "generator": 4}
    head = json.dumps({"format": "psr-seed/1", "provenance": provenance})
    (folder / "seed.json").write_text(head[:-1] + ', "organizations": [' + " " * 100_000 + "]}")
    report = {"consistent": False, "verdict": "beta fails", "verified_at": "2026-01-02T03:04:05+00:00"}
    (folder / "report" / "report.json").write_text(json.dumps(report))
    (folder / "report" / "report.html").write_text("<style>p {color: red}</style><p>beta fails</p>")
    return folder


def test_the_page_knows_its_run(run_dir: Path, tmp_path: Path, clock: Clock) -> None:
    """Seed and verdict for anyone; the report, which names organizations, for the system administrator."""
    driver = Driver(f"sqlite:///{tmp_path / 'hub.db'}", clock)
    driver.app.hub.close()
    driver.app = create_app(driver.db_url, "http://hub.test", clock, background=False, run_dir=run_dir)
    admin = driver.login("admin@admin")
    acme, nobody = create_organization(admin, "acme"), Session(driver, "", "")
    page = look(nobody).content.decode()
    assert "<h1>7-10</h1>" in page
    assert "<dd>7</dd>" in page
    assert "small, generator 4" in page
    assert "inconsistent" in page
    assert "2026-01-02 03:04:05 UTC" in page
    assert "beta" not in page
    assert 'href="/page/report"' not in page
    assert 'href="/page/report"' in look(admin).content.decode()
    assert look(nobody, "/page/report").headers["Location"] == "/security/login"
    assert look(acme, "/page/report").status == 403
    report = look(admin, "/page/report")
    assert b"<p>beta fails</p>" in report.content
    policy = report.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    (run_dir / "report" / "report.html").unlink()
    (run_dir / "report" / "report.json").write_text("{")
    (run_dir / "seed.json").write_text('{"provenance": {"random_seed": "x"}}')
    assert look(admin, "/page/report").status == 404
    page = look(admin).content.decode()
    assert "no seed document" in page
    assert "not yet" in page
    driver.close()


def test_the_table_of_endpoints_has_every_route(lite_acme: Session) -> None:
    """As docs/embedded-hub.md has."""
    page = look(lite_acme, "/page/endpoints").content.decode()
    routes = lite_acme.driver.app.hub.routes
    assert page.count("<tr><td>") == len(routes)
    for route in routes:
        assert f"<code>{route.path}</code>" in page


def test_nobody_looking_costs_nothing(lite_acme: Session) -> None:
    """What makes pages is not even imported; looking often does not count again and again."""
    program = (
        "import sys, psrlib.hub.server; "
        "print([name for name in ('jinja2', 'prometheus_client') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
    hub = lite_acme.driver.app.hub
    hub.recent = Recent()
    before = tiles(lite_acme.driver.raw("GET", "/", {}))
    lite_acme.job()
    assert tiles(lite_acme.driver.raw("GET", "/", {})) == before
    assert tiles(look(lite_acme))["jobs"] == before["jobs"] + 1


def test_a_hub_of_the_later_release_has_the_page_and_says_so(tmp_path: Path, clock: Clock) -> None:
    """People log in by the form there too, though programs have no login."""
    driver = Driver(f"sqlite:///{tmp_path / 'hub.db'}", clock)
    driver.app.hub.close()
    driver.app = create_app(f"sqlite:///{tmp_path / 'hub4.db'}", "", clock, background=False, release=4)
    body = urlencode({"userName": "admin@admin", "password": "admin@admin"}).encode()
    answer = driver.raw("POST", "/security/login", OWN, body)
    token = answer.headers["Set-Cookie"].split("=", 1)[1].split(";")[0]
    page = look(Session(driver, "admin@admin", token)).content
    assert b"release 4." in page
    assert b"admin@admin" in page
    assert b'release="4.' in driver.raw("GET", "/metrics", {}).content
    driver.close()
