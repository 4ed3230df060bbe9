"""Headless Chromium, spoken to by its DevTools protocol: what a page looks like and does there."""

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium")
WHY_NOT = "chromium is not installed (Debian's package of that name); .ci/run installs it where it may"
PATIENCE_S = 30.0


class Browser:
    """One tab.

    Attributes
    ----------
    complaints : list of str
        What the browser put into its console: errors, and what a page's own policy forbids.
    """

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        self._loaded = 0
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._numbers)
        self._line.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = self._hear()
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])

    def _hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._line.recv(timeout=PATIENCE_S))
        told = message.get("params", {})
        if message.get("method") == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        self._loaded += message.get("method") == "Page.loadEventFired"
        return message

    def open(self, url: str, width: int = 1400, dark: bool = False, script: bool = True) -> None:
        """Go to an address and wait until it is loaded."""
        self.tell(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])
        self.tell("Emulation.setScriptExecutionDisabled", value=not script)
        self._load(lambda: self.tell("Page.navigate", url=url))

    def click(self, selector: str) -> None:
        """Click something that leads to another page, and wait until that is loaded."""
        self._load(lambda: self.ask(f"document.querySelector({selector!r}).click()"))

    def _load(self, go: Any) -> None:
        before = self._loaded
        go()
        while self._loaded == before:
            self._hear()

    def ask(self, expression: str) -> Any:
        """Return the value of an expression."""
        result = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + PATIENCE_S
        while not self.ask(expression):
            assert time.monotonic() < until, expression
            time.sleep(0.1)

    def picture(self, path: Path) -> None:
        """Write the whole page as PNG."""
        data = self.tell("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run it with an empty profile."""
    assert CHROMIUM is not None, WHY_NOT
    with TemporaryDirectory(prefix="psr-chromium-", ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--no-first-run", "--disable-background-networking", "--remote-debugging-port=0"]
        command += [f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with connect(_address(Path(profile)), max_size=None) as line:
                yield Browser(line)
        finally:
            process.terminate()
            process.wait()


def _address(profile: Path) -> str:
    """Return the address of its first tab, as soon as it has one."""
    until = time.monotonic() + PATIENCE_S
    told = profile / "DevToolsActivePort"
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < until, "chromium did not start"
        time.sleep(0.05)
    port = told.read_text().split()[0]
    while True:
        with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE_S) as answer:
            tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
        if tabs:
            return str(tabs[0]["webSocketDebuggerUrl"])
        assert time.monotonic() < until, "chromium has no tab"
        time.sleep(0.05)
