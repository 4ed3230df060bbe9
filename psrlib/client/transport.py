"""One HTTP request to a Control Hub: pooled connections, deadlines, repeats of what is safe to repeat."""

import logging
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import requests
from urllib3 import Timeout
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from psrlib.client.adapter import KnownRequest, OneHostAdapter, cookies_of
from psrlib.client.calls import CallCounter
from psrlib.client.limit import AdaptiveLimit
from psrlib.errors import HubError, HubUnreachableError

log = logging.getLogger(__name__)

TIMEOUT_S = 60.0  # longest wait for an answer to one request
CONNECT_TIMEOUT_S = 5.0
DEADLINE_S = 120.0  # longest time for one call with all its repeats
MAX_ATTEMPTS = 12
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
BUSY = (429, 503)
TEXT_SHOWN = 300  # characters of a hub's answer quoted in an error
PATH_SAFE = "/:@=|,;!$&'()*+~.-_"  # Control Hub paths hold ':' '@' '=' literally (control-hub-rest 1.1)


class LostAnswerError(HubUnreachableError):
    """A request that must not be repeated blindly got no usable answer; the hub may have carried it out."""


@dataclass(frozen=True)
class Upload:
    """A file sent as multipart part ``file``."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Answer:
    """A 2xx answer: parsed body (None when empty), headers and cookies."""

    body: Any
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    content: bytes


class Transport:
    """Connections to one Control Hub, shared by all sessions and threads.

    Parameters
    ----------
    url : str
        Base URL, such as ``http://127.0.0.1:18631``.
    workers : int or None
        Fixed number of concurrent requests; None adapts to the hub's answers.
    timeout_s, deadline_s : float
        Longest wait for one answer, and for one call with all its repeats (seconds).
    verify : bool or str
        Check TLS certificates, or the path of a CA bundle.
    """

    def __init__(
        self,
        url: str,
        *,
        workers: int | None = None,
        timeout_s: float = TIMEOUT_S,
        deadline_s: float = DEADLINE_S,
        verify: bool | str = True,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise HubUnreachableError(
                f'"{url}" is no Control Hub address; expected http://HOST:PORT or https://HOST:PORT'
            )
        self.url = url.rstrip("/")
        self._below = parts.path.rstrip("/")  # a proxy may serve the hub below a path
        self.host = parts.hostname
        self.timeout_s = timeout_s
        self.deadline_s = deadline_s
        self.calls = CallCounter()
        self.limit = AdaptiveLimit(workers)
        self.sessions_lock = threading.Lock()
        self._random = random.Random()
        self._timeout = Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s)
        self._adapter = OneHostAdapter(self.url, verify, max(self.limit.largest, 8))

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        kind: str,
        headers: Mapping[str, str],
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        upload: Upload | None = None,
        repeatable: bool,
        deadline_s: float | None = None,
    ) -> Answer:
        """Send a request until it is answered, the attempts are used up or the deadline is over.

        Parameters
        ----------
        kind : str
            What the request is counted as.
        body : object
            Sent as JSON; bytes are sent as they are; None sends no body.
        repeatable : bool
            Whether carrying it out twice is the same as once. If not, only answers that prove it was not
            carried out (429, no connection) are followed by a repeat.
        deadline_s : float or None
            Longest time for this call, if other than the usual one.

        Raises
        ------
        LostAnswerError
            Not repeatable, and whether the hub carried it out is unknown.
        HubError
            The hub refused.
        HubUnreachableError
            No answer within the deadline.
        """
        request = self._prepare(method, path, headers, query, body, upload)
        what = f"{method} {path}"
        give_up_at = time.monotonic() + (self.deadline_s if deadline_s is None else deadline_s)
        last = ""
        for attempt in range(MAX_ATTEMPTS):
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * self._random.uniform(0.5, 1.0)
            try:
                response = self._send_once(request, kind)
            except requests.RequestException as error:
                self.limit.overloaded()
                last = _short(error)
                if not repeatable and not _never_sent(error):
                    raise LostAnswerError(f"{what}: the answer was lost ({last})") from error
            else:
                if response.status_code < 300:
                    return _answer(response)
                last = f"status {response.status_code}: {_text(response)}"
                if response.status_code in BUSY:
                    self.limit.overloaded()
                    pause_s = max(pause_s, _retry_after_s(response))
                elif response.status_code < 500 or response.status_code in (501, 505):
                    raise refusal(what, response)
                if not repeatable and response.status_code != 429:
                    raise LostAnswerError(
                        f"{what}: unclear whether it was carried out ({last})", response.status_code
                    )
            if time.monotonic() + pause_s > give_up_at:
                break
            log.debug("%s: %s; again in %.1f s", what, last, pause_s)
            self.limit.pause(pause_s)
        raise HubUnreachableError(
            f"{what} on {self.url} failed {attempt + 1} times, the last time with: {last}; "
            "check the address and that the Control Hub runs"
        )

    def _send_once(self, request: requests.PreparedRequest, kind: str) -> requests.Response:
        size = len(request.body) if request.body else 0
        with self.limit:
            self.calls.add(kind, size)
            started = time.monotonic()
            response = self._adapter.exchange(request, self._timeout)
            duration_s = time.monotonic() - started
        self.calls.add_answer(len(response.content), duration_s)
        if response.status_code not in BUSY:
            self.limit.answered(duration_s)
        log.debug("%s %s: %d in %.3f s", request.method, request.path_url, response.status_code, duration_s)
        return response

    def _prepare(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        query: Mapping[str, Any] | None,
        body: Any,
        upload: Upload | None,
    ) -> requests.PreparedRequest:
        target = quote(path, safe=PATH_SAFE)
        if query:
            target += "?" + "&".join([f"{k}={_query_text(v)}" for k, v in query.items() if v is not None])
        url = self.url + target
        if upload is not None:
            return requests.Request(
                method, url, headers=dict(headers), files={"file": (upload.name, upload.content)}
            ).prepare()
        sent = dict(headers)
        if body is not None:
            body = body if isinstance(body, bytes) else orjson.dumps(body)
            sent["Content-Type"] = "application/json"
            sent["Content-Length"] = str(len(body))
        return KnownRequest(method, url, self._below + target, sent, body)


def refusal(what: str, response: requests.Response) -> HubError:
    """Return the error of a 3xx or 4xx answer, with the codes of the hub's error envelope."""
    codes, message = _issues(response)
    text = message or _text(response) or response.reason
    return HubError(
        f"{what} was refused with status {response.status_code}: {text}", response.status_code, codes
    )


def _issues(response: requests.Response) -> tuple[tuple[str, ...], str]:
    try:
        issues = orjson.loads(response.content)["ISSUES"]
        codes = tuple(str(issue.get("code", "")) for issue in issues)
        return codes, "; ".join(f"{issue.get('code')}: {issue.get('message')}" for issue in issues)
    except (ValueError, KeyError, TypeError, AttributeError):
        return (), ""


def _answer(response: requests.Response) -> Answer:
    content = response.content
    body: Any = None
    if content and "json" in response.headers.get("Content-Type", "json"):
        try:
            body = orjson.loads(content)
        except ValueError as error:
            raise HubError(
                f"{response.request.method} {response.request.path_url}: status {response.status_code} "
                f"with a body that is not JSON: {_text(response)}; is this the address of a Control Hub?",
                response.status_code,
            ) from error
    return Answer(body, response.headers, cookies_of(response), content)


def _text(response: requests.Response) -> str:
    return " ".join(response.text.split())[:TEXT_SHOWN]


def _short(error: Exception) -> str:
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return f"{type(reason).__name__}: {str(reason).split('>: ')[-1]}"[:TEXT_SHOWN]


def _never_sent(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _retry_after_s(response: requests.Response) -> float:
    """Return the seconds of a Retry-After header, a number or an HTTP date (RFC 9110, 10.2.3), else 0."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _query_text(value: Any) -> str:
    if isinstance(value, int):  # booleans are integers, and words
        return str(value).lower()
    return quote(str(value), safe="@:")
