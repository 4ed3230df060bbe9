"""An embedded hub served from a thread, which starts faster than a process; and what was said to it."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from psrlib.hub.server import HubApplication, create_app


@contextmanager
def serve_hub(
    database: Path, wrap: Callable[[HubApplication], Any] = lambda app: app, strict: bool = False
) -> Iterator[str]:
    """Serve an embedded hub; yield its URL. ``wrap`` may put another ASGI application around it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = wrap(create_app(f"sqlite:///{database}", url, strict=strict))
    config = uvicorn.Config(app, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@dataclass
class Exchange:
    """A request and its answer."""

    method: str
    path: str
    content_type: str
    body: bytes
    status: int
    answer: bytes


class Recorder:
    """An ASGI application around a hub that keeps what goes in and out."""

    def __init__(self, hub: HubApplication) -> None:
        self.hub = hub
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection event, and keep it."""
        if scope["type"] != "http":
            await self.hub(scope, receive, send)
            return
        sent, answered, status = bytearray(), bytearray(), 0

        async def take() -> Any:
            message = await receive()
            sent.extend(message.get("body", b""))
            return message

        async def give(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            answered.extend(message.get("body", b""))
            await send(message)

        await self.hub(scope, take, give)
        kind = dict(scope["headers"]).get(b"content-type", b"").decode()
        path = re.sub(r"\?.*", "", scope["path"])
        self.exchanges.append(Exchange(scope["method"], path, kind, bytes(sent), status, bytes(answered)))
