"""The ASGI application: one check for every route, transactions, error envelope, background work."""

import logging
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from sqlalchemy import Connection

from psrlib.errors import InputError
from psrlib.hub.catalog import all_routes, not_served
from psrlib.hub.runner.background import Background
from psrlib.hub.security.bootstrap import (
    create_system_organization,
    keep_release,
    set_administrator_password,
)
from psrlib.hub.store.database import Database
from psrlib.hub.web.access import Principal, check
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.hub import Hub
from psrlib.hub.web.issues import LOGIN_SERVICE, IssueError, bad_request, unauthenticated
from psrlib.hub.web.origin import check_host, is_own_page
from psrlib.hub.web.records import Listing
from psrlib.hub.web.releases import find_release
from psrlib.hub.web.request import Body, read_cookie
from psrlib.hub.web.routing import Route, Router
from psrlib.hub.web.strictness import LOOKED_BYTES
from psrlib.hub.web.throttle import Throttle
from psrlib.hub.web.traffic import Traffic

logger = logging.getLogger(__name__)
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
COOKIE = "SS-SSO-LOGIN"


def create_app(
    db_url: str,
    url: str = "",
    clock: Callable[[], int] | None = None,
    background: bool = True,
    strict: bool = False,
    webhook_hosts: Collection[str] = (),
    is_local: bool = False,
    admin_password: str | None = None,
    needs_password: bool = False,
    release: int = 3,
    rate_limit: int = 0,
    run_dir: Path | None = None,
) -> "HubApplication":
    """Return the embedded Control Hub as an ASGI application.

    Parameters
    ----------
    db_url : str
        SQLAlchemy URL of the database; tables are made when it is empty.
    url : str
        Base URL engines reach the hub under; empty: taken from the first request's Host header.
    clock : callable or None
        Epoch milliseconds; None means the wall clock.
    background : bool
        Run failover, scheduler, webhooks and flushing while the application lives.
    strict : bool
        Refuse with 400 unknown fields of bodies and documents, and values of a wrong type in definitions.
    webhook_hosts : collection of str
        Hosts that webhooks may call besides loopback; ``*`` for any.
    is_local : bool
        The hub listens on loopback only: requests that mean another host are refused.
    admin_password, needs_password : str or None, bool
        See `set_administrator_password`.
    release : int
        3 or 4: the release that the hub is.
    rate_limit : int
        Calls that the users of an organization may make a second, the next get 429; 0 for any number.
    run_dir : path or None
        Folder of the run that the hub belongs to, for its page.

    Raises
    ------
    InputError
        When the database cannot be opened, has another schema version or is of a hub of another release, or
        the administrator lacks a password of its own that is needed.
    """
    chosen = find_release(release)
    database = Database(db_url)
    database.prepare()
    hub = Hub(database, url.rstrip("/"), clock, strict, webhook_hosts, chosen, run_dir)
    try:
        hub.write_now(lambda connection: keep_release(connection, chosen.number))
        hub.write_now(lambda connection: create_system_organization(connection, hub.now()))
        hub.write_now(lambda db: set_administrator_password(db, admin_password, needed=needs_password))
    except InputError:
        hub.close()
        raise
    hub.load()
    return HubApplication(hub, background, is_local, Throttle(rate_limit))


@cache
def _router(release: int) -> Router:
    return Router(all_routes(release), not_served(release))


class HubApplication:
    """ASGI entry: finds the route, checks the caller, runs the handler, writes the answer."""

    def __init__(self, hub: Hub, background: bool, is_local: bool, throttle: Throttle) -> None:
        self.hub = hub
        self.throttle = throttle
        self.is_local = is_local
        self.router = _router(hub.release.number)
        hub.routes = self.router.routes
        hub.traffic = Traffic(route.segments[0] for route in hub.routes if route.segments[1:2] == ["rest"])
        self.background = Background(hub) if background else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            begun = time.perf_counter()
            raw = await self._answer(scope, receive)
            await _send(send, raw)
            self.hub.traffic.note(scope["path"], raw.status or 200, time.perf_counter() - begun)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        if self.background:
            self.background.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self.background:
            await self.background.stop()
        self.hub.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> Raw:
        try:
            return await self._serve(scope, receive)
        except IssueError as issue:
            return _refusal(issue)
        except RecursionError:
            return _refusal(bad_request("the body, or a document in it, is nested too deep"))
        except Exception:
            # The request is named, its body and headers are not: they may hold secrets.
            logger.exception("%s %s failed", scope["method"], scope["path"])
            message = "The hub met an error of its own; its log names it"
            return _refusal(IssueError(500, "APP_ISSUES_01", message))

    async def _serve(self, scope: Scope, receive: Receive) -> Raw:
        method = scope["method"]
        segments = _segments(scope)
        found = self.router.find(method, segments)
        if found is None:
            return self._unknown(method, scope["path"], segments)
        route, path = found
        try:
            return await self._call(scope, receive, route, path)
        except IssueError as issue:
            issue.name_app(route.app if route.app == LOGIN_SERVICE else segments[0])
            raise

    async def _call(self, scope: Scope, receive: Receive, route: Route, path: dict[str, str]) -> Raw:
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if self.is_local:
            check_host(headers.get("host"))
        client = scope.get("client") or ("", 0)
        pairs = _pairs(scope)
        raw_query = dict(pairs)
        call = Call(self.hub, route, headers, client[0], route.signature.organization(path, raw_query))
        call.token, call.caller, by_cookie = self._caller(headers, raw_query, call.now)
        if "x-requested-by" not in headers and _needs_marker(route, by_cookie, headers):
            if call.caller is None:
                raise unauthenticated()
            raise bad_request("header X-Requested-By is missing; every REST call needs it")
        if call.caller is not None:
            self.throttle.take(call.caller, call.now)
        check(route, call.caller, path, raw_query)
        if not self.hub.url:
            self.hub.url = f"{scope['scheme']}://{headers.get('host', '127.0.0.1')}"
        arguments = route.signature.arguments(path, raw_query, pairs)
        for listing in arguments.values():
            if isinstance(listing, Listing):
                listing.length = self.hub.release.page_length(raw_query.get("len"), listing.length)
        body = Body(route, headers)
        try:
            await body.read(receive, self.hub.room)
            if not body.is_large:
                _take_body(call, arguments, body)
            if route.direct:
                if body.is_large:
                    await self.hub.compute(lambda: _take_body(call, arguments, body))
                return self._finished(route, await route.handler(call, **arguments))
            return await self._run(call, arguments, body)
        finally:
            body.leave(self.hub.room)

    async def _run(self, call: Call, arguments: dict[str, Any], body: Body) -> Raw:
        def work(connection: Connection) -> Raw:
            if body.is_large:  # here, so that it keeps no other call waiting, and few are decoded at a time
                _take_body(call, arguments, body)
            call.db = connection
            raw = self._finished(call.route, call.route.handler(call, **arguments))
            for action in call.before_commit:
                action()
            return raw

        is_short = call.route.is_short and body.is_short
        raw = await (self.hub.write(work, is_short) if call.route.writes else self.hub.read(work))
        for action in call.after:
            action()
        return raw

    def _finished(self, route: Route, result: Any) -> Raw:
        show = self.hub.release.show
        if isinstance(result, Raw):
            if not isinstance(result.body, bytes):
                result.body = msgspec.json.encode(show(result.body))
            result.status = result.status or route.status
            return result
        is_nothing = result is None and route.signature.returns is None
        return Raw(b"" if is_nothing else msgspec.json.encode(show(result)), route.status)

    def _caller(
        self, headers: dict[str, str], query: dict[str, str], now: int
    ) -> tuple[str, Principal | None, bool]:
        """Return a request's token, whose it is, and whether a cookie (unasked) says so."""
        component = headers.get("x-ss-app-component-id")
        secret = headers.get("x-ss-app-auth-token")
        if component is not None and secret is not None and "x-ss-user-auth-token" not in headers:
            principal = self.hub.callers.component(component, secret)
            if principal is not None:
                self.hub.contacts.note_call(principal.id, now)
            return secret, principal, False
        # control-hub-rest.md, 1.2: the query parameter wins over the header, the header over the cookie
        token = query.get("ss-userAuthToken") or headers.get("x-ss-user-auth-token")
        by_cookie = not token and "cookie" in headers
        if by_cookie:
            token = unquote(read_cookie(headers["cookie"], COOKIE))
        return (token, self.hub.callers.user(token, now), by_cookie) if token else ("", None, False)

    def _unknown(self, method: str, path: str, segments: list[str]) -> Raw:
        others = self.router.methods(segments)
        hint = f"; the path has {', '.join(others)}" if others else ""
        message = f"{method} {path} is not served by the embedded hub{hint} (docs/embedded-hub.md lists all)"
        return _refusal(IssueError(501, "APP_ISSUES_06", message))


def _take_body(call: Call, arguments: dict[str, Any], body: Body) -> None:
    """Add the decoded body to a handler's arguments; refuse one that names a foreign organization."""
    if call.route.signature.body is None:
        return
    arguments["body"] = body.decode()
    strictness = call.hub.strictness
    if strictness.strict or (call.route.access.who != "component" and len(body.content) <= LOOKED_BYTES):
        strictness.check_body(call.route.name, call.route.signature.body, body.plain())
    if call.named_organization is None and call.caller is not None:
        call.check_body_organization(getattr(arguments["body"], "organization", None))


def _needs_marker(route: Route, by_cookie: bool, headers: dict[str, str]) -> bool:
    """Whether a call must carry the header that no other site can make a browser send (1.2).

    A form of the hub's own page cannot carry it; its browser says where it comes from.
    """
    is_rest = "/rest/" in route.path or "/public-rest/v1/authentication" in route.path
    return is_rest or (by_cookie and route.writes and not is_own_page(headers))


def _segments(scope: Scope) -> list[str]:
    raw = (scope.get("raw_path") or scope["path"].encode()).split(b"?")[0]
    segments = [unquote(part.decode("latin-1")) for part in raw.strip(b"/").split(b"/")]
    if any("\x00" in segment for segment in segments):
        raise bad_request("the path holds a NUL character")
    return segments


def _pairs(scope: Scope) -> list[tuple[str, str]]:
    raw = scope.get("query_string") or b""
    return parse_qsl(raw.decode("latin-1"), keep_blank_values=True) if raw else []


def _refusal(issue: IssueError) -> Raw:
    headers: list[tuple[str, str]] = []
    if issue.status == 401:
        headers = [("WWW-Authenticate", "dpm"), ("Set-Cookie", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly")]
    if issue.retry_after_s:
        headers.append(("Retry-After", str(issue.retry_after_s)))
    return Raw(msgspec.json.encode(issue.envelope()), issue.status, headers=headers)


async def _send(send: Send, raw: Raw) -> None:
    body: bytes = raw.body
    headers = [(b"content-type", raw.content_type.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in raw.headers]
    await send({"type": "http.response.start", "status": raw.status or 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
