"""A hub that answers what a test tells it to."""

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOGIN = "/security/public-rest/v1/authentication/login"


@dataclass(frozen=True)
class Reply:
    """One answer; ``drop`` closes the connection instead of answering."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: bool = False


@dataclass(frozen=True)
class Seen:
    """One request as the hub saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedHub:
    """Answers from a script per path; the last answer of a script repeats. Logins succeed unless scripted."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.scripts: dict[str, list[Reply]] = defaultdict(list)
        self.in_flight = 0
        self.peak = 0
        self.n_connections = 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                hub.n_connections += 1
                super().setup()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                hub.seen.append(Seen(self.command, self.path, dict(self.headers), body))
                hub.in_flight += 1
                hub.peak = max(hub.peak, hub.in_flight)
                reply = hub.reply(self.path)
                time.sleep(reply.delay_s)
                hub.in_flight -= 1
                if reply.drop:
                    self.close_connection = True
                    return
                content = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
                for name, value in {**headers, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def script(self, path: str, *replies: Reply) -> None:
        """Set the answers to a path, query not counted."""
        self.scripts[path] = list(replies)

    def reply(self, path: str) -> Reply:
        """Return the next answer to a path."""
        script = self.scripts.get(path.partition("?")[0])
        if not script:
            if path == LOGIN:
                return Reply(headers={"X-SS-User-Auth-Token": f"token-{self.count(LOGIN)}"})
            return Reply(404, {"ISSUES": [{"code": "TEST_01", "message": "not scripted"}]})
        return script.pop(0) if len(script) > 1 else script[0]

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(seen.path.partition("?")[0] == path for seen in self.seen)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
