"""The sink that subscriptions' webhooks post to: it answers 200 and counts."""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

from psrlib.engines.fleet import Fleet

LARGEST_WEBHOOK_BYTES = 1 << 20


def webhook_app(fleet: Fleet, path: str) -> web.Application:
    """Return the application that counts what arrives at ``path`` and below, whatever its method and body."""

    async def count(request: web.Request) -> web.Response:
        await request.read()
        fleet.webhooks_received += 1
        return web.Response(text="{}", content_type="application/json")

    app = web.Application(client_max_size=LARGEST_WEBHOOK_BYTES)
    path = "/" + path.strip("/")
    app.router.add_route("*", path, count)
    app.router.add_route("*", path.rstrip("/") + "/{rest:.*}", count)
    return app


def sink_address(url: str | None, listen: str = "127.0.0.1") -> tuple[str, int, str] | None:
    """Return the host and port to listen on, and the path, for a URL that leads here; else None.

    A URL that names this machine by a loopback address leads here. Where the fleet listens beyond loopback,
    any http URL does: others know this machine by names that it does not know itself.

    Examples
    --------
    >>> sink_address("http://127.0.0.1:18636/webhook")
    ('127.0.0.1', 18636, '/webhook')
    >>> sink_address("https://hooks.example/x") is None
    True
    >>> sink_address("http://fleet:18636/webhook", "0.0.0.0")
    ('0.0.0.0', 18636, '/webhook')
    """
    if not url:
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or (_is_loopback(listen) and not _is_loopback(host)):
        return None
    port = 80 if parts.port is None else parts.port
    return (host if _is_loopback(listen) else listen), port, parts.path or "/"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
