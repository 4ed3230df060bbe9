"""Declarative routes: what each app serves, who may call it, and the search tree that finds it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
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
    choice: str
    direct: bool
    bulk: bool
    release: int
    signature: Signature

    @property
    def name(self) -> str:
        """Verb and path, for messages."""
        return f"{self.method} {self.path}"

    @property
    def summary(self) -> str:
        """What the endpoint does, in one sentence."""
        return (self.handler.__doc__ or "").strip().split("\n")[0]

    @cached_property
    def segments(self) -> list[str]:
        """The parts of the path; ``{name}`` stands for any one."""
        return self.path.strip("/").split("/")

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
        release: int = 0,
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
        release : int
            The only release that has it; 0 means all.
        """

        def register(handler: HandlerT) -> HandlerT:
            changes = method != "GET" if writes is None else writes
            signature = read_signature(handler, path)
            self.routes.append(
                Route(
                    method,
                    path,
                    handler,
                    access,
                    self.name,
                    changes,
                    status,
                    choice,
                    direct,
                    bulk,
                    release,
                    signature,
                )
            )
            return handler

        return register


class _Node:
    """The routes of one path, by method, and where paths go on: fixed segments or ``{name}``."""

    __slots__ = ("any", "fixed", "missing", "routes")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.routes: dict[str, Route] = {}
        self.missing: set[str] = set()  # methods that a real hub has here and this one has not

    def next(self, segment: str) -> "_Node":
        """Return the node behind a segment of a route's path, made when it is not there."""
        if segment.startswith("{"):
            self.any = self.any or _Node()
            return self.any
        return self.fixed.setdefault(segment, _Node())

    def find(self, method: str, segments: list[str], at: int = 0) -> Route | None:
        """Return the route for a method and the segments from a place on.

        Raises
        ------
        LookupError
            When a real hub has a named route there: it must not be taken for an id.
        """
        if at == len(segments):
            if method in self.missing:
                raise LookupError
            return self.routes.get(method)
        fixed = self.fixed.get(segments[at])
        found = fixed.find(method, segments, at + 1) if fixed else None
        if found is None and self.any and segments[at]:
            return self.any.find(method, segments, at + 1)
        return found


class Router:
    """A tree over path segments; fixed segments win over ``{name}``.

    Parameters
    ----------
    routes : list of Route
        What is served.
    not_served : iterable of (method, path)
        What a real hub serves and this one does not: no route with ``{name}`` is found for it.
    """

    def __init__(self, routes: list[Route], not_served: Iterable[tuple[str, str]] = ()) -> None:
        self.routes = routes
        self._root = _Node()
        for method, path in not_served:
            self._node(path.strip("/").split("/")).missing.add(method)
        for route in routes:
            node = self._node(route.segments)
            if route.method in node.routes:
                raise ValueError(f"{route.method} {route.path} is declared twice")
            node.routes[route.method] = route

    def _node(self, segments: list[str]) -> _Node:
        node = self._root
        for segment in segments:
            node = node.next(segment)
        return node

    def find(self, method: str, segments: list[str]) -> tuple[Route, dict[str, str]] | None:
        """Return the route for a method and decoded path segments, with its path values; else None."""
        try:
            route = self._root.find(method, segments)
        except LookupError:
            return None
        if route is None:
            return None
        pairs = zip(route.segments, segments, strict=True)
        return route, {name[1:-1]: value for name, value in pairs if name.startswith("{")}

    def methods(self, segments: list[str]) -> list[str]:
        """Return the methods served at a path."""
        return [m for m in ("GET", "PUT", "POST", "DELETE") if self.find(m, segments)]
