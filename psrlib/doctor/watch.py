"""A client that remembers what became of every request."""

from dataclasses import dataclass, replace
from typing import Any

from psrlib.client import Answer, ControlHub, Request
from psrlib.client.http import HttpClient
from psrlib.errors import HubError


@dataclass
class Seen:
    """A request, and what came: ``error`` when it was refused or lost, ``complaint`` on a wrong answer."""

    request: Request
    error: HubError | None = None
    complaint: str = ""


class WatchedHttp(HttpClient):
    """Keeps all requests that it sent in ``seen``."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.seen: list[Seen] = []

    def send(self, request: Request) -> Answer:
        """Send as `HttpClient` does."""
        seen = Seen(request)
        self.seen.append(seen)

        def read(content: bytes) -> Any:
            try:
                return request.read(content)
            except ValueError as error:
                seen.complaint = str(error)
                raise

        try:
            return super().send(replace(request, read=read))
        except HubError as error:
            seen.error = error
            raise


class WatchedHub(ControlHub):
    """A session whose requests are remembered, those of all sessions opened from it too."""

    HTTP = WatchedHttp
    http: WatchedHttp

    @property
    def seen(self) -> list[Seen]:
        """All requests so far."""
        return self.http.seen
