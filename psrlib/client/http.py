"""HTTP to one Control Hub: pooled connections, deadlines, repeats of what is safe to repeat."""

import logging
import random
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from psrlib.client.calls import CallCounter
from psrlib.client.limit import AdaptiveLimit
from psrlib.client.request import Answer, Request
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


class HttpClient:
    """Connections to one Control Hub, shared by all users' sessions and by all threads.

    Parameters
    ----------
    url : str
        Base URL, such as ``http://127.0.0.1:18631``; a proxy may serve the hub below a path.
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
        self.deadline_s = deadline_s
        self.calls = CallCounter()
        self.limit = AdaptiveLimit(workers)
        self._timeout_s = (CONNECT_TIMEOUT_S, timeout_s)
        # Threads may share this session: sending a prepared request only reads its settings, the pool of
        # connections has its own lock, and the jar of cookies, which would mix the users, takes none.
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy: requests carry passwords
        self._session.verify = verify
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        n_connections = max(self.limit.largest, 8)
        self._session.mount(f"{parts.scheme}://", HTTPAdapter(pool_connections=1, pool_maxsize=n_connections))

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

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
        OSError
            If there is no CA bundle at the path given.
        """
        prepared = self._prepare(request)
        deadline_s = self.deadline_s if request.deadline_s is None else request.deadline_s
        give_up_at = time.monotonic() + deadline_s
        last = ""
        for attempt in range(MAX_ATTEMPTS):
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) * random.uniform(0.5, 1.0)
            try:
                response = self._send_once(prepared, request)
            except requests.RequestException as error:
                self.limit.overloaded()
                last = _short(error)
                if not request.repeatable and not _never_sent(error):
                    raise LostAnswerError(f"{request}: the answer was lost ({last})") from error
            else:
                if response.status_code < 300:
                    return _answer(request, response)
                last = f"status {response.status_code}: {_text(response)}"
                if response.status_code in BUSY:
                    self.limit.overloaded()
                    pause_s = max(pause_s, _retry_after_s(response))
                elif response.status_code < 500 or response.status_code in (501, 505):
                    raise _refusal(request, response)
                if not request.repeatable and response.status_code != 429:
                    raise LostAnswerError(
                        f"{request}: unclear whether it was carried out ({last})", response.status_code
                    )
            if time.monotonic() + pause_s > give_up_at:
                break
            log.debug("%s: %s; again in %.1f s", request, last, pause_s)
            self.limit.pause(pause_s)
        raise HubUnreachableError(
            f"{request} on {self.url} failed {attempt + 1} times, the last time with: {last}; "
            "check the address and that the Control Hub runs"
        )

    def _send_once(self, prepared: requests.PreparedRequest, request: Request) -> requests.Response:
        with self.limit:
            self.calls.add(request.kind)
            started = time.monotonic()
            response = self._session.send(prepared, timeout=self._timeout_s, allow_redirects=False)
            duration_s = time.monotonic() - started
        self.calls.add_answer(duration_s)
        if response.status_code not in BUSY:
            self.limit.answered(duration_s)
        log.debug("%s: %d in %.3f s", request, response.status_code, duration_s)
        return response

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


def _target(request: Request) -> str:
    query = "&".join(f"{k}={_query_text(v)}" for k, v in request.query.items() if v is not None)
    return quote(request.path, safe=PATH_SAFE) + (f"?{query}" if query else "")


def _query_text(value: Any) -> str:
    if isinstance(value, int):  # booleans are integers, and words
        return str(value).lower()
    return quote(str(value), safe="@:")


def _refusal(request: Request, response: requests.Response) -> HubError:
    """Return the error of a 3xx or 4xx answer, with the codes of the hub's error envelope."""
    codes: tuple[str, ...] = ()
    text = _text(response) or response.reason
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        issues = orjson.loads(response.content)["ISSUES"]
        codes = tuple(str(issue.get("code", "")) for issue in issues)
        text = "; ".join(f"{issue.get('code')}: {issue.get('message')}" for issue in issues) or text
    message = f"{request} was refused with status {response.status_code}: {text}"
    return HubError(message, response.status_code, codes)


def _answer(request: Request, response: requests.Response) -> Answer:
    body: Any = None
    if response.content and "json" in response.headers.get("Content-Type", "json"):
        try:
            body = orjson.loads(response.content)
        except ValueError as error:
            raise HubError(
                f"{request}: status {response.status_code} with a body that is not JSON: {_text(response)}; "
                "is this the address of a Control Hub?",
                response.status_code,
            ) from error
    return Answer(body, response.headers, dict(response.cookies))


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
    with suppress(ValueError):
        return float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time.time()
    return 0.0
