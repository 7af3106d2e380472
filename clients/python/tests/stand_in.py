"""A stand-in for what a karta-server cannot be made to do: break off, send on, answer nonsense. It keeps what it was asked."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

#: An answer: status, headers and body; or what is done with the connection in its place.
Reply = Union["Says", Callable[[http.server.BaseHTTPRequestHandler], None]]


class Says:
    def __init__(self, status: int, body: Any = b"", headers: Optional[Mapping[str, str]] = None) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = dict(headers or {})


def refusal(status: int, code: str, **more: Any) -> Says:
    headers = {"Retry-After": str(more["retry_after_seconds"])} if "retry_after_seconds" in more else {}
    return Says(status, {"error": {"code": code, "message": "No.", "request_id": "r_1", **more}}, headers)


class Asked:
    def __init__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.target = target
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body


class StandIn:
    """Gives its replies in order, and the last one from then on."""

    def __init__(self, *replies: Reply, tls: Optional[ssl.SSLContext] = None) -> None:
        self.asked: List[Asked] = []
        self._replies = list(replies)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append(Asked(self.command, self.path, dict(self.headers), body))
                reply = outer._replies.pop(0) if len(outer._replies) > 1 else outer._replies[0]
                if not isinstance(reply, Says):
                    reply(self)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        class Listener(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that went away is what some of these tests are about."""

        self._server = Listener(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def __enter__(self) -> "StandIn":
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def everything() -> Dict[str, Any]:
    """An answer that every method takes for an empty page."""
    return {name: [] for name in ("widget_keys", "agents", "documents", "conversations", "log")}
