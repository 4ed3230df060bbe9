"""An ASGI application called without a network, and the clock that its tests move by hand."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from psrlib.hub.server import HubApplication

START_MS = 1_700_000_000_000


@dataclass
class Answer:
    """What the hub answered."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content) if self.content else None

    @property
    def code(self) -> str:
        return str(self.json()["ISSUES"][0]["code"])


@dataclass
class Clock:
    """A clock tests move by hand; epoch milliseconds."""

    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


@dataclass
class Request:
    """What is sent: path with query, headers, body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class InProcess:
    """An application, its event loop and its clock."""

    app: HubApplication

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.loop = asyncio.new_event_loop()

    def close_loop(self) -> None:
        """Close the event loop after what was closed on it has really gone.

        A transport that is closed calls back in the loop's next rounds; without them it counts as unclosed.
        """
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def raw(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Send a request and wait for its answer."""
        return self.loop.run_until_complete(self._send(Request(method, path, headers, body)))

    def raw_together(self, requests: list[Request]) -> list[Answer]:
        """Send requests that are all begun before the first is answered."""

        async def send_all() -> list[Answer]:
            return await asyncio.gather(*map(self._send, requests))

        return self.loop.run_until_complete(send_all())

    async def _send(self, request: Request) -> Answer:
        bare, _, query = request.path.partition("?")
        scope = {
            "type": "http",
            "method": request.method,
            "path": bare,
            "raw_path": bare.encode(),
            "query_string": query.encode(),
            "scheme": "http",
            "headers": [(k.lower().encode(), v.encode()) for k, v in request.headers.items()],
            "client": ("127.0.0.1", 1),
        }
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": request.body}

        async def send(message: Any) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        head = {k.decode(): v.decode() for k, v in messages[0]["headers"]}
        return Answer(messages[0]["status"], head, messages[1]["body"])
