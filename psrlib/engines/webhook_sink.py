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


def loopback_address(url: str | None) -> tuple[str, int, str] | None:
    """Return host, port and path of a URL when it leads to this machine, else None.

    Examples
    --------
    >>> loopback_address("http://127.0.0.1:18636/webhook")
    ('127.0.0.1', 18636, '/webhook')
    >>> loopback_address("https://hooks.example/x") is None
    True
    """
    if not url:
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback or parts.scheme != "http":
        return None
    return host, parts.port or 80, parts.path or "/"
