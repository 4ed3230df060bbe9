"""HTTP to one Control Hub: pooled connections, deadlines, repeats of what is safe to repeat."""

import logging
import random
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from psrlib.client.calls import CallCounter
from psrlib.client.limit import AdaptiveLimit
from psrlib.client.request import Answer, Request
from psrlib.client.shapes import RefusalError, check_refusal
from psrlib.client.transport import BoundedAdapter, Bounds, bound, read_body
from psrlib.errors import HubError, HubUnreachableError

log = logging.getLogger(__name__)

TIMEOUT_S = 60.0  # longest wait for an answer to one request
CONNECT_TIMEOUT_S = 5.0
DEADLINE_S = 120.0  # longest time for one call with all its repeats, without waiting for a hub that throttles
THROTTLED_DEADLINES = 5  # how long a hub may answer nothing but 429: for so many deadlines, 10 minutes
MAX_ATTEMPTS = 12
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
TOO_MANY = 429  # requests; it was not carried out
BUSY = (TOO_MANY, 503)
UPLOAD_BYTES_PER_S = 250_000  # a slow line; sending a body may take its time besides
CHUNK_BYTES = 65_536
EMPTY_BELIEVED = 3  # empty answers in a row, after which a hub is believed that it has no more to say
TEXT_SHOWN = 300  # characters of a hub's answer quoted in an error
MESSAGE_SHOWN = 3000  # characters of what it says in its error envelope
ADDRESS = "http://HOST:PORT or https://HOST:PORT"  # what an address looks like
PATH_SAFE = "/:@=|,;!$&'()*+~.-_"  # Control Hub paths hold ':' '@' '=' literally (control-hub-rest 1.1)


class LostAnswerError(HubUnreachableError):
    """A request that must not be repeated blindly got no usable answer; the hub may have carried it out."""


def is_address(url: str) -> bool:
    """Whether a text is an address that a Control Hub may have: scheme, host and perhaps port and path.

    Examples
    --------
    >>> [is_address(url) for url in ("http://127.0.0.1:18631", "hub.example.com", "http://hub:99999")]
    [True, False, False]
    """
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port beyond 65535, or brackets that do not match
        return False


class HttpClient:
    """Connections to one Control Hub, shared by all users' sessions and by all threads.

    Parameters
    ----------
    url : str
        Base URL, such as ``http://127.0.0.1:18631``; a proxy may serve the hub below a path.
    workers : int or None
        Fixed number of concurrent requests; None adapts to the hub's answers.
    timeout_s, deadline_s : float
        Longest time until one answer is there to its last byte, and for one call with all its repeats
        (seconds); sending a large body is allowed its time besides. A hub that throttles (429) is waited
        for besides, until it has answered nothing else for five deadlines.
    verify : bool or str
        Check TLS certificates, or the path of a CA bundle.

    Raises
    ------
    HubUnreachableError
        If the address is none.
    OSError
        If there is no CA bundle at the path given.
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
        if not is_address(url):
            raise HubUnreachableError(f'"{url}" is no Control Hub address; expected {ADDRESS}')
        if isinstance(verify, str) and not Path(verify).exists():
            raise OSError(f"no TLS CA certificate bundle at {verify}")
        self.url = url.rstrip("/")
        self.deadline_s = deadline_s
        self.calls = CallCounter()
        self.limit = AdaptiveLimit(workers)
        self._timeout_s = timeout_s
        self.verify = verify
        self._reached = False  # whether anything ever listened there
        # The adapter alone, without a session of requests: no proxy, for requests carry passwords; no jar of
        # cookies, which would mix the users; no look at where a redirect leads.
        n_connections = max(self.limit.largest, 8)
        self._adapter = BoundedAdapter(pool_connections=1, pool_maxsize=n_connections)

    def to(self, url: str) -> "HttpClient":
        """Return a client for another address that shares connections, counts and limit with this one."""
        other = copy(self)
        other.url = url
        return other

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def send(self, request: Request) -> Answer:
        """Send a request until it is answered, the attempts are used up or the deadline is over.

        Raises
        ------
        LostAnswerError
            Not repeatable, and whether the hub carried it out is unknown.
        HubError
            The hub refused.
        HubUnreachableError
            No answer within the deadline.
        """
        prepared = self._prepare(request)
        upload_s = len(prepared.body or b"") / UPLOAD_BYTES_PER_S
        deadline_s = self.deadline_s if request.deadline_s is None else request.deadline_s
        give_up_at = time.monotonic() + deadline_s + upload_s
        last, attempt, n_throttled = "", 0, 0
        while True:
            give_up_at += self.limit.wait_open()
            if self.limit.interrupted.is_set():
                raise HubUnreachableError(f"{request}: interrupted")
            pause_s = _pause_s(attempt)
            bounds = Bounds(min(give_up_at, time.monotonic() + self._timeout_s + upload_s), request.max_bytes)
            try:
                reply = self._send_once(prepared, request, bounds)
                if reply.status < 300:
                    return _answer(request, reply, attempt)
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                last = _short(error)
                if not self._reached and _is_refused(error):
                    raise HubUnreachableError(
                        f"no connection to {self.url} ({last}); "
                        "check the address and that the Control Hub runs"
                    ) from error
                self._reached = True
                if bounds.exceeded and request.repeatable:
                    raise HubError(
                        f"{request}: the answer is longer than {bounds.max_bytes} bytes"
                    ) from error
                if not isinstance(error, ValueError):
                    self.limit.overloaded()
                if not request.repeatable and not _never_sent(error):
                    raise LostAnswerError(f"{request}: the answer was lost ({last})") from error
            else:
                last = f"status {reply.status}: {reply.text}"
                if (
                    reply.status < 400
                ):  # a page where one logs in, of a gateway: the hub itself sends nobody on
                    last = f"status {reply.status}, a redirect to {reply.headers.get('Location')}"
                if reply.status == TOO_MANY:
                    n_throttled += 1
                    self._wait_later(request, reply, n_throttled)
                    continue
                if reply.status in BUSY:
                    self.limit.overloaded()
                    pause_s = max(pause_s, _retry_after_s(reply))
                elif 400 <= reply.status < 500 or reply.status in (501, 505):
                    raise _refusal(request, reply)
                if not request.repeatable:
                    raise LostAnswerError(
                        f"{request}: unclear whether it was carried out ({last})", reply.status
                    )
            attempt += 1
            if attempt == MAX_ATTEMPTS or time.monotonic() + pause_s > give_up_at:
                break
            log.debug("%s: %s; again in %.1f s", request, last, pause_s)
            self.limit.pause(pause_s)
        raise HubUnreachableError(
            f"{request} on {self.url} failed {attempt} times, the last time with: {last}; "
            "check the address and that the Control Hub runs"
        )

    def _wait_later(self, request: Request, reply: "_Reply", n_throttled: int) -> None:
        """Let nothing be sent for a while, as the hub asks.

        Raises
        ------
        HubUnreachableError
            If it would be waited for longer than makes sense.
        """
        longest_s = THROTTLED_DEADLINES * self.deadline_s
        wait_s = max(_pause_s(n_throttled - 1), _retry_after_s(reply))
        if self.limit.throttled(wait_s) > longest_s:
            raise HubUnreachableError(
                f"{request} on {self.url}: the hub throttles (status 429) and would be waited for longer "
                f"than {longest_s:.0f} s; it says: {reply.text or reply.reason}; repeat the command later"
            )
        log.debug("%s: throttled; again in %.1f s", request, wait_s)

    def _send_once(self, prepared: requests.PreparedRequest, request: Request, bounds: Bounds) -> "_Reply":
        with self.limit as sent_at:
            self.calls.add(request.kind)
            started = time.monotonic()
            bound(bounds)
            timeout_s = bounds.left_s()
            response = self._adapter.send(
                prepared,
                stream=True,
                timeout=(min(CONNECT_TIMEOUT_S, timeout_s), timeout_s),
                verify=self.verify,
            )
            try:
                encoding = response.headers.get("Content-Encoding", "").strip().lower()
                content = read_body(response.raw.stream(CHUNK_BYTES, decode_content=False), encoding, bounds)
            except BaseException:
                response.close()
                raise
            duration_s = time.monotonic() - started
        self._reached = True
        self.calls.add_answer(duration_s, len(content))
        if response.status_code not in BUSY:
            self.limit.answered(duration_s, sent_at)
        log.debug("%s: %d in %.3f s", request, response.status_code, duration_s)
        return _Reply(
            response.status_code, response.reason, response.headers, dict(response.cookies), content
        )

    def _prepare(self, request: Request) -> requests.PreparedRequest:
        headers, body = dict(request.headers), request.body
        if body is not None:
            body = body if isinstance(body, bytes) else orjson.dumps(body)
            headers["Content-Type"] = "application/json"
        files = {"file": (request.upload.name, request.upload.content)} if request.upload else None
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = request.method, self.url + _target(request)  # quoted as it must be
        prepared.prepare_headers(headers)
        prepared.prepare_cookies({})
        prepared.prepare_body(body, files)
        return prepared


def _pause_s(attempt: int) -> float:
    """Return the seconds before an attempt is repeated: longer each time, and not the same for all."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * float(2**attempt)) * random.uniform(0.5, 1.0)


def _target(request: Request) -> str:
    query = "&".join(f"{k}={_query_text(v)}" for k, v in request.query.items() if v is not None)
    return quote(request.path, safe=PATH_SAFE) + (f"?{query}" if query else "")


def _query_text(value: Any) -> str:
    if isinstance(value, int):  # booleans are integers, and words
        return str(value).lower()
    return quote(str(value), safe="@:")


@dataclass(frozen=True)
class _Reply:
    status: int
    reason: str
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The beginning of the body, to be quoted."""
        return _shown(self.content[: 4 * TEXT_SHOWN].decode("utf-8", "replace"))[:TEXT_SHOWN]


def _shown(text: str) -> str:
    """Return a text of a hub as one line, without what would move the cursor of a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _refusal(request: Request, reply: _Reply) -> HubError:
    """Return the error of a 3xx or 4xx answer, with the codes of the hub's error envelope."""
    codes: tuple[str, ...] = ()
    text = reply.text or reply.reason
    try:
        check_refusal(orjson.loads(reply.content))
    except RefusalError as refusal:
        codes, text = refusal.codes, _shown(str(refusal)[:MESSAGE_SHOWN]) or text
    except ValueError:
        pass  # a page of a gateway, or nothing
    message = f"{request} was refused with status {reply.status}: {text}"
    return HubError(message, reply.status, codes)


def _answer(request: Request, reply: _Reply, attempt: int) -> Answer:
    """Return the answer in the shape that the call expects.

    Raises
    ------
    HubError
        If the hub says in it that it refused.
    ValueError
        With what came instead.
    """
    if request.may_be_empty and not reply.content.strip() and attempt + 1 >= EMPTY_BELIEVED:
        return Answer(None, reply.headers, reply.cookies)
    try:
        return Answer(request.read(reply.content), reply.headers, reply.cookies)
    except RefusalError as refusal:
        raise _refusal(request, reply) from refusal
    except ValueError as error:
        came = f": {reply.text}" if reply.content.strip() else ""
        raise ValueError(
            f"status {reply.status} with another answer than this call has, {error}{came}"
        ) from error


def _short(error: Exception) -> str:
    reason = getattr(error.args[0], "reason", error) if error.args else error
    if type(reason) is ValueError:
        return str(reason)
    text = re.sub(r"^<?[\w.]*\w*Connection.*?[>)]: ", "", str(reason))  # the object that urllib3 names
    return f"{type(reason).__name__}: {text}"[:TEXT_SHOWN]


def _is_refused(error: Exception) -> bool:
    """Whether there was no connection at all: refused, or a name that nobody knows."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


def _never_sent(error: Exception) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _retry_after_s(reply: _Reply) -> float:
    """Return the seconds of a Retry-After header, a number or an HTTP date (RFC 9110, 10.2.3), else 0."""
    value = reply.headers.get("Retry-After", "").strip()
    with suppress(ValueError, OverflowError, OSError):
        return float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time.time()
    return 0.0
