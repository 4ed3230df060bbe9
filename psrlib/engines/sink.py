"""Local HTTP of the fleet process: its status, and the sink that subscriptions' webhooks post to."""

import ipaddress
import json
import logging
from urllib.parse import urlsplit

from aiohttp import web

from psrlib.engines.fleet import Fleet
from psrlib.engines.status import describe, prometheus_text
from psrlib.errors import ProcessError

logger = logging.getLogger(__name__)
LARGEST_WEBHOOK_BYTES = 1 << 20


def status_app(fleet: Fleet) -> web.Application:
    """Return the application of the fleet's status: ``/status`` JSON, ``/metrics`` Prometheus text."""

    async def tell_status(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(describe(fleet)), content_type="application/json")

    async def tell_metrics(request: web.Request) -> web.Response:
        return web.Response(
            body=prometheus_text(fleet), headers={"Content-Type": "text/plain; version=0.0.4"}
        )

    app = web.Application()
    app.add_routes([web.get("/status", tell_status), web.get("/metrics", tell_metrics)])
    return app


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


async def serve(app: web.Application, host: str, port: int, what: str) -> tuple[web.AppRunner, int]:
    """Serve an application; return its runner and the port it took.

    Raises
    ------
    ProcessError
        When the port is in use.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise ProcessError(
            f"{what} cannot listen on {host}:{port}: {error.strerror}; "
            "stop what uses the port, or choose another"
        ) from error
    return runner, int(runner.addresses[0][1])


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
