"""`Server`: a karta-server as it is seen from here. One call at a time: address, credential, retries, and what came back.

Knows no resource. Redirects are not followed: what is at another address has no right to the token. urllib over a bare http.client, for the proxies of the environment.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import json
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from time import sleep
from typing import Any, List, Mapping, Optional, Tuple, Union

from .error import KartaError
from .form import Form
from .secret import Secret
from .version import __version__

#: The longest that a call waits before it is tried again; who is told to wait longer gets the error at once.
WAIT_MAX_S = 30
#: Before a call is repeated where nobody has said how long to wait, doubled each time.
WAIT_FIRST_S = 0.5
#: Calls whose repetition changes nothing more. Not DELETE: the second answer would say that there is no such thing.
REPEATABLE = ("GET", "PUT", "PATCH")
#: More than the largest file with room for a page of the longest agents: what is larger comes from something else.
ANSWER_MAX_BYTES = 64 * 1024 * 1024

Query = Mapping[str, Union[str, int, None]]


class Server:
    """Where it is, and how patiently it is asked. Holds no credential."""

    def __init__(self, base_url: str, timeout: float, retries: int, ssl_context: Optional[ssl.SSLContext]) -> None:
        if not 0 < timeout <= 86_400:
            raise ValueError("timeout is a number of seconds, above 0 and at most a day.")
        if retries < 0:
            raise ValueError("retries is 0 or more.")
        self.base_url, host = _checked(base_url)
        self._timeout = timeout
        self._retries = retries
        self._opener = _opener(host, ssl_context)

    def call(
        self,
        method: str,
        path: str,
        *,
        secret: Optional[Secret] = None,
        query: Optional[Query] = None,
        body: Optional[Mapping[str, Any]] = None,
        form: Optional[Form] = None,
    ) -> Any:
        """The answer's JSON; None where it has no body."""
        answer = self.read(method, path, secret=secret, query=query, body=body, form=form)
        if answer.status == 204:
            return None
        value = _json(answer.body)
        if not isinstance(value, dict):
            raise KartaError("answer_invalid", f"What is at {self.base_url} answered something that is no JSON object. Is it a karta-server?", status=answer.status)
        return value

    def read(
        self,
        method: str,
        path: str,
        *,
        secret: Optional[Secret] = None,
        query: Optional[Query] = None,
        body: Optional[Mapping[str, Any]] = None,
        form: Optional[Form] = None,
    ) -> "Answer":
        """The answer as it came, after as many tries as are harmless."""
        url = self.base_url + path
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        if asked:
            url += "?" + urllib.parse.urlencode(asked)
        headers = {"Accept": "application/json", "User-Agent": f"karta-python/{__version__}"}
        data: Optional[bytes] = None
        if form is not None:
            headers["Content-Type"], data = form.content_type, form.body
        elif body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body, allow_nan=False).encode()
        tried = 0
        while True:
            answer = self._try(method, url, headers, data, secret)
            failure = self._failure(answer)
            if failure is None:
                assert isinstance(answer, Answer)
                return answer
            wait = _wait(method, failure, tried) if tried < self._retries else None
            if wait is None:
                # Outside every `except`: the errors below hold the request, and with it the token.
                raise failure
            sleep(wait)
            tried += 1

    def _try(self, method: str, url: str, headers: Mapping[str, str], data: Optional[bytes], secret: Optional[Secret]) -> Union["Answer", KartaError]:
        # A file, not bytes: it is sent in blocks, and the timeout is for each of them, not for 20 MB over a slow line.
        request = urllib.request.Request(url, method=method, data=None if data is None else io.BytesIO(data))
        for name, value in headers.items():
            request.add_header(name, value)
        if data is not None:
            request.add_header("Content-Length", str(len(data)))
        if secret is not None:
            request.add_unredirected_header("Authorization", "Bearer " + secret.expose())
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return Answer(response.status, response.headers, _body(response))
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            return self._unanswered(error)

    def _unanswered(self, error: Exception) -> KartaError:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, (socket.timeout, TimeoutError)):
            return KartaError("timeout", f"{self.base_url} did not answer within {self._timeout:g} seconds.")
        return KartaError(
            "connection_failed",
            f"{self.base_url} cannot be reached or broke off: {_words(reason)}. Does karta-server run there, and is base_url (KARTA_BASE_URL) right?",
        )

    def _failure(self, answer: Union["Answer", KartaError]) -> Optional[KartaError]:
        if isinstance(answer, KartaError):
            return answer
        if 200 <= answer.status < 300:
            return None
        if 300 <= answer.status < 400:
            where = _origin(answer.headers.get("Location"))
            words = f"{self.base_url} sends its callers on to {where}. Redirects are not followed, because the token would go along: give the right base_url."
            return KartaError("redirected", words, status=answer.status)
        body = _json(answer.body)
        error = body.get("error") if isinstance(body, dict) else None
        request_id = answer.headers.get("x-request-id")
        retry_after = _whole(answer.headers.get("Retry-After"))
        if not isinstance(error, dict) or not isinstance(error.get("code"), str):
            words = f"{self.base_url} answered with status {answer.status} and nothing that karta-server would say. Is there a proxy in front of it?"
            return KartaError("answer_invalid", words, status=answer.status, request_id=request_id, retry_after=retry_after)
        told = error.get("retry_after_seconds")
        if isinstance(told, int) and told >= 0:
            retry_after = told
        message, request_id = str(error.get("message", "")), error.get("request_id") or request_id
        return KartaError(error["code"], message, status=answer.status, request_id=request_id, retry_after=retry_after)


class Answer:
    """What came back, whole."""

    def __init__(self, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def path(template: str, **ids: str) -> str:
    """`path("/agents/{id}", id=…)`: each id as one part of the path, whatever is in it."""
    for name, value in ids.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a text.")
        # These would name another thing: the list, or the folder above.
        if value in ("", ".", ".."):
            raise ValueError(f"{name} is {value!r}, which is no id.")
    return template.format(**{name: urllib.parse.quote(value, safe="") for name, value in ids.items()})


def _checked(base_url: str) -> Tuple[str, str]:
    """Without the slash at its end, and its host. No message repeats it: it may hold a password."""
    if not isinstance(base_url, str):
        raise TypeError("base_url must be a text.")
    base_url = base_url.strip()
    try:
        parts = urllib.parse.urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise ValueError("base_url is no address. It looks like https://agent.example or http://127.0.0.1:8787.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("base_url must be http:// or https:// with a host, like https://agent.example or http://127.0.0.1:8787.")
    if not all("!" <= c <= "~" for c in base_url) or "\\" in base_url:
        raise ValueError("base_url holds a character that no address has.")
    if "@" in parts.netloc or "?" in base_url or "#" in base_url:
        raise ValueError("base_url must have no user name, query or fragment.")
    return base_url.rstrip("/"), parts.hostname


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class _Refusable(http.client.HTTPConnection):
    def request(self, *args: Any, **more: Any) -> None:
        try:
            super().request(*args, **more)
        except (BrokenPipeError, ConnectionResetError):
            # A refusal may come before a long body is sent, and the sending break off for it: the answer is there to be read.
            if self.sock is None:
                raise


class _RefusableTls(_Refusable, http.client.HTTPSConnection):
    pass


class _Handler(urllib.request.AbstractHTTPHandler):
    def __init__(self, context: Optional[ssl.SSLContext]) -> None:
        # Not what http.client.HTTPConnection.debuglevel says: it prints headers.
        super().__init__(debuglevel=0)
        self._context = context

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_Refusable, request)

    def https_open(self, request: urllib.request.Request) -> Any:
        # Only where it is needed: to load the certificates that are trusted takes longer than a call.
        self._context = self._context or ssl.create_default_context()
        return self.do_open(_RefusableTls, request, context=self._context)

    http_request = urllib.request.AbstractHTTPHandler.do_request_
    https_request = urllib.request.AbstractHTTPHandler.do_request_


def _opener(host: str, context: Optional[ssl.SSLContext]) -> urllib.request.OpenerDirector:
    """No more than is wanted: nothing that follows redirects, keeps cookies or opens files."""
    opener = urllib.request.OpenerDirector()
    # A proxy's 127.0.0.1 is another machine's.
    proxies = urllib.request.ProxyHandler({} if _is_loopback(host) else None)
    for handler in (proxies, _Handler(context), urllib.request.UnknownHandler()):
        opener.add_handler(handler)
    return opener


def _body(response: http.client.HTTPResponse) -> bytes:
    too_long = http.client.HTTPException(f"the answer is longer than {ANSWER_MAX_BYTES} bytes")
    if response.length is not None:
        if response.length > ANSWER_MAX_BYTES:
            raise too_long
        # Only without a number does http.client itself notice that some is missing.
        return response.read()
    pieces: List[bytes] = []
    size = 0
    while True:
        piece = response.read(65_536)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_MAX_BYTES:
            raise too_long


def _wait(method: str, failure: KartaError, tried: int) -> Optional[float]:
    """How long to wait before another try, or None where that could do harm or no good."""
    told = failure.retry_after
    if told is not None and told > WAIT_MAX_S:
        return None
    # Refused before anything was done.
    if failure.status == 429:
        return told
    # May come after something was done.
    if failure.status == 503 and told is not None and method in REPEATABLE:
        return told
    if method == "GET" and (failure.code == "connection_failed" or failure.status in (502, 503, 504)):
        return WAIT_FIRST_S * 2.0**tried
    return None


def _words(reason: Any) -> str:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({reason.verify_message})"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


def _origin(location: Optional[str]) -> str:
    """Without what may be secret in it: user name, path and query."""
    try:
        parts = urllib.parse.urlsplit(location or "")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "something that is no address"
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{port}" if host.isascii() and host.isprintable() and host else "another path"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _whole(text: Optional[str]) -> Optional[int]:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
