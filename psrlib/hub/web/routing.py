"""Declarative routes: what each app serves, who may call it, and the search tree that finds it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_origin

from psrlib.hub.web.signature import Signature, read_signature

Who = Literal["anyone", "user", "component", "either"]
Handler = Callable[..., Any]
HandlerT = TypeVar("HandlerT", bound=Handler)


@dataclass(frozen=True)
class Access:
    """Who may call a route.

    ``roles``: any of them is enough; empty means every user. ``org-admin`` passes inside its organization,
    the system administrator everywhere. ``system`` restricts to the system administrator.
    """

    who: Who = "user"
    roles: tuple[str, ...] = ()
    system: bool = False


ANYONE = Access("anyone")
USER = Access("user")
COMPONENT = Access("component")
EITHER = Access("either")
SYSTEM = Access("user", system=True)


def roles(*names: str) -> Access:
    """Return access for users holding any of the roles."""
    return Access("user", names)


ORG_ADMIN = roles("org-admin")


@dataclass(frozen=True)
class Route:
    """One endpoint: everything the server, the documents and the tests need to know about it."""

    method: str
    path: str
    handler: Handler
    access: Access
    app: str
    writes: bool
    status: int
    summary: str
    choice: str
    direct: bool
    bulk: bool
    signature: Signature

    @property
    def is_short(self) -> bool:
        """Whether a call takes about a millisecond: it changes one thing."""
        return (
            not self.bulk and self.signature.body is not bytes and get_origin(self.signature.body) is not list
        )


@dataclass
class App:
    """One app of the REST API: a named list of routes under a common path prefix."""

    name: str
    summary: str
    routes: list[Route] = field(default_factory=list)

    def route(
        self,
        method: str,
        path: str,
        access: Access,
        *,
        status: int = 200,
        writes: bool | None = None,
        choice: str = "",
        direct: bool = False,
        bulk: bool = False,
    ) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that makes a function the handler of ``method path``.

        Parameters
        ----------
        method, path : str
            HTTP verb and path below the server root; ``{name}`` matches one segment.
        access : Access
            Who may call; there is no default, so that no route can forget it.
        writes : bool or None
            Whether the handler needs a writing transaction; None means all but GET.
        choice : str
            What was decided where the reference is silent; goes into docs/embedded-hub.md.
        direct : bool
            The handler is a coroutine that runs on the event loop and manages transactions itself.
        bulk : bool
            A call may change many things although its body is no list (a list or an upload always may).
        """

        def register(handler: HandlerT) -> HandlerT:
            summary = (handler.__doc__ or "").strip().split("\n")[0]
            changes = method != "GET" if writes is None else writes
            self.routes.append(
                Route(
                    method,
                    path,
                    handler,
                    access,
                    self.name,
                    changes,
                    status,
                    summary,
                    choice,
                    direct,
                    bulk,
                    read_signature(handler, path),
                )
            )
            return handler

        return register


class _Node:
    __slots__ = ("any", "fixed", "methods")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.methods: dict[str, tuple[Route, tuple[str, ...]]] = {}


class Router:
    """A tree over path segments; fixed segments win over ``{name}``."""

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        for segment in route.path.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.fixed.setdefault(segment, _Node())
        if route.method in node.methods:
            raise ValueError(f"{route.method} {route.path} is declared twice")
        node.methods[route.method] = (route, tuple(names))

    def find(self, method: str, segments: list[str]) -> tuple[Route, dict[str, str]] | None:
        """Return the route for a method and decoded path segments, with its path values; else None."""
        values: list[str] = []
        node = self._walk(self._root, method, segments, 0, values)
        if node is None:
            return None
        route, names = node.methods[method]
        return route, dict(zip(names, values, strict=True))

    def methods(self, segments: list[str]) -> list[str]:
        """Return the methods served at a path."""
        return [m for m in ("GET", "PUT", "POST", "DELETE") if self.find(m, segments)]

    def _walk(
        self, node: _Node, method: str, segments: list[str], at: int, values: list[str]
    ) -> "_Node | None":
        if at == len(segments):
            return node if method in node.methods else None
        fixed = node.fixed.get(segments[at])
        if fixed is not None:
            found = self._walk(fixed, method, segments, at + 1, values)
            if found is not None:
                return found
        if node.any is None or not segments[at]:
            return None
        values.append(segments[at])
        found = self._walk(node.any, method, segments, at + 1, values)
        if found is None:
            values.pop()
        return found
