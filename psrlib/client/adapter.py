"""requests' adapter for one address: what is the same for every request is worked out once.

Plain ``Session.send`` looks up proxies, TLS context, connection pool and cookies for each request anew and
takes a body in pieces of 10 kB, which costs as much as sending and receiving (measured on loopback: 320 us of
processor time a request with it, 210 us like this).
"""

from collections.abc import Mapping
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from urllib3 import Timeout
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError, SSLError


class KnownRequest(requests.PreparedRequest):
    """A request that needs no preparation: address, headers and body are as they will be sent.

    Parameters
    ----------
    url, path_url : str
        The whole address, quoted, and what of it is sent: path and query.
    headers : dict
        Names as they will be sent; with ``Content-Length`` where there is a body.
    """

    path_url = ""

    def __init__(
        self, method: str, url: str, path_url: str, headers: dict[str, str], body: bytes | None
    ) -> None:
        self.method = method
        self.url = url
        self.path_url = path_url
        self.headers = cast(Any, headers)  # names as they are sent: nobody looks them up in another case
        self.body = body
        self.hooks = {"response": []}
        self._cookies = None
        self._body_position = None


class OneHostAdapter(HTTPAdapter):
    """Pooled connections to one address, without proxies; answers come with their bodies, cookies with them.

    Parameters
    ----------
    url : str
        Base URL; each request must be below it.
    verify : bool or str
        Check TLS certificates, or the path of a CA bundle.
    n_connections : int
        Connections kept open.

    Raises
    ------
    OSError
        If there is no CA bundle at the path.
    """

    def __init__(self, url: str, verify: bool | str, n_connections: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=n_connections)
        first = requests.Request("GET", url).prepare()
        self._pool = super().get_connection_with_tls_context(first, verify)
        HTTPAdapter.cert_verify(self, self._pool, url, verify, None)  # type: ignore[no-untyped-call]

    def exchange(self, request: requests.PreparedRequest, timeout: Timeout) -> requests.Response:
        """Send a request and return the answer.

        Raises
        ------
        requests.RequestException
            If the answer did not come, or not whole.
        """
        return self.send(request, timeout=cast(Any, timeout))

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> Any:
        """Return the one pool."""
        return self._pool

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: the pool was told at the start."""

    def request_url(self, request: requests.PreparedRequest, _: Any) -> str:
        """Return path and query."""
        return request.path_url

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return urllib3's answer with its whole body.

        Raises
        ------
        requests.RequestException
            If the connection ends, or nothing comes, before the body is complete.
        """
        response = requests.Response()
        response.status_code = resp.status
        response.headers = resp.headers
        response.reason = resp.reason
        response.raw = resp
        response.url = str(req.url)
        response.request = req
        response._content = _read(resp)
        if resp.status >= 300:  # what refuses may be no JSON
            response.encoding = requests.utils.get_encoding_from_headers(resp.headers)
        return response


def cookies_of(response: requests.Response) -> Mapping[str, str]:
    """Return the cookies that an answer sets; they are not kept."""
    if "Set-Cookie" not in response.headers:
        return {}
    jar = RequestsCookieJar()
    requests.cookies.extract_cookies_to_jar(  # type: ignore[no-untyped-call]
        jar, response.request, response.raw
    )
    return dict(jar)


def _read(resp: Any) -> bytes:
    """Return the body, with errors in the words of requests (as ``requests.Response.iter_content``)."""
    try:
        content: bytes = resp.read(decode_content=True)
    except ProtocolError as error:
        raise ChunkedEncodingError(error) from error
    except DecodeError as error:
        raise ContentDecodingError(error) from error
    except ReadTimeoutError as error:
        raise requests.ConnectionError(error) from error
    except SSLError as error:
        raise requests.exceptions.SSLError(error) from error
    return content
