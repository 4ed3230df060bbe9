"""The page in a browser: it keeps to its own policy and to the window, is live, complete without script."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.browser import CHROMIUM, WHY_NOT, Browser, chromium

from psrlib.hub.process.hub_process import HubProcess, start_hub

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)
LOGIN = "/security/public-rest/v1/authentication/login"
LONG_NAME = "An organization whose name is as long as names may be " + "x" * 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A run with a report that has style and script of its own."""
    folder = tmp_path_factory.mktemp("looked-at")
    (folder / "report").mkdir()
    page = "<style>p {color: rgb(1, 2, 3)}</style><p>fine</p><script>document.title = 'ran'</script>"
    (folder / "report" / "report.html").write_text(page)
    report = {"consistent": True, "verdict": "fine", "verified_at": "2026-01-02T03:04:05+00:00"}
    (folder / "report" / "report.json").write_text(json.dumps(report))
    with start_hub(folder) as process:
        for number in range(30):
            add_organization(process, f"org-{number:04d}", LONG_NAME)
        yield process


def add_organization(hub: HubProcess, name: str, title: str) -> None:
    with requests.Session() as session:
        session.headers["X-Requested-By"] = "test"
        body = {"userName": "admin@admin", "password": "admin@admin"}
        answer = session.post(hub.url + LOGIN, json=body, timeout=30)
        session.headers["X-SS-User-Auth-Token"] = answer.headers["X-SS-User-Auth-Token"]
        made = {
            "organization": {"id": name, "name": title, "primaryAdminId": f"admin@{name}"},
            "organizationAdminUser": {"id": f"admin@{name}", "name": "A", "roles": ["user", "org-admin"]},
        }
        answer = session.put(hub.url + "/security/rest/v1/organizations", json=made, timeout=30)
        assert answer.status_code in (200, 201), answer.text


def log_in(browser: Browser, hub: HubProcess, script: bool = True) -> None:
    """By the form, as a person does."""
    browser.tell("Network.clearBrowserCookies")
    browser.open(hub.url + "/security/login", script=script)
    for name in ("userName", "password"):
        browser.ask(f"document.querySelector('[name={name}]').value = 'admin@admin'")
    browser.click(".login button")
    assert browser.ask("location.pathname") == "/"


@pytest.mark.parametrize(("width", "dark"), [(800, False), (1400, True)], ids=["narrow light", "wide dark"])
def test_every_page_fits_its_window_and_keeps_its_own_policy(
    browser: Browser, hub: HubProcess, width: int, dark: bool, tmp_path: Path
) -> None:
    """No complaint of the browser, nothing beyond the right edge, text that stands out from its ground."""
    log_in(browser, hub)
    browser.complaints.clear()
    for number, path in enumerate(("/", "/page/endpoints", "/security/login")):
        browser.open(hub.url + path, width, dark)
        assert browser.ask("document.documentElement.scrollWidth") <= width
        assert contrast(browser, "body", "color", "backgroundColor") > 7
        browser.picture(tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").stat().st_size > 10_000
    assert browser.complaints == []


def contrast(browser: Browser, selector: str, ink: str, ground: str) -> float:
    """Return how far two colors of an element are from each other (WCAG 2.1, 1.4.3), 1 to 21."""
    style = f"getComputedStyle(document.querySelector('{selector}'))"
    lights = []
    for name in (ink, ground):
        parts = browser.ask(f"{style}.{name}.match(/\\d+/g).map(Number)")
        linear = [
            p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in (n / 255 for n in parts)
        ]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_the_page_follows_the_hub(browser: Browser, hub: HubProcess) -> None:
    """An organization that is made meanwhile is counted without a reload; what was typed stays."""
    log_in(browser, hub)
    browser.open(hub.url)
    browser.wait_for("document.getElementById('state').textContent === 'live,'")
    count = "document.querySelector('#entities strong').textContent"
    before = int(browser.ask(count))
    browser.ask("document.querySelector('[name=find]').value = 'typed'; window.here = 1")
    add_organization(hub, f"zz-{before}", "New")
    browser.wait_for(f"{count} === '{before + 1}'")
    assert browser.ask("[window.here, document.querySelector('[name=find]').value]") == [1, "typed"]


def test_it_says_when_the_hub_is_gone(browser: Browser, tmp_path: Path) -> None:
    """What is shown then is of the last answer."""
    with start_hub(tmp_path) as short_lived:
        browser.open(short_lived.url)
        browser.wait_for("document.getElementById('state').textContent === 'live,'")
    browser.wait_for("document.getElementById('state').textContent.includes('does not answer')")
    assert browser.ask("document.querySelector('#entities strong').textContent") == "0"


def test_without_script_everything_is_there(browser: Browser, hub: HubProcess) -> None:
    """Login, counts, organizations, the next part of them, and the way out."""
    log_in(browser, hub, script=False)
    assert browser.ask("document.getElementById('state').textContent") == "as of"
    assert browser.ask("document.querySelectorAll('#organizations tr').length") == 26
    browser.click("#organizations a")
    assert browser.ask("document.querySelector('#organizations td').firstChild.data") == "org-0025"
    browser.click(".caller button")
    assert browser.ask("document.querySelector('.caller a').textContent") == "Log in"
    assert browser.ask("document.getElementById('organizations')") is None


def test_the_report_looks_as_it_should_and_reaches_nothing(browser: Browser, hub: HubProcess) -> None:
    """Its style and script work; it has neither the hub's cookie nor its origin."""
    log_in(browser, hub)
    browser.open(hub.url + "/page/report")
    assert browser.ask("getComputedStyle(document.querySelector('p')).color") == "rgb(1, 2, 3)"
    assert browser.ask("[document.title, window.origin]") == ["ran", "null"]
