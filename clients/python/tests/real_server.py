"""The real karta-server for these tests: one process for all of them, with an admin token made on its command line, and a visitor who talks to it."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Dict, List, Optional

from karta import Karta

ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("KARTA_SERVER_BIN") or str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "karta-server")
PAGE = "https://www.example.com"
PATIENCE_S = 20


class RealServer:
    """Stops, and leaves nothing, when the tests end."""

    def __init__(self, **variables: str) -> None:
        if not os.path.exists(BINARY):
            raise FileNotFoundError(f"no server at {BINARY}: run ./build.sh server --dev, or set KARTA_SERVER_BIN")
        self._folder = tempfile.TemporaryDirectory()
        atexit.register(self.stop)
        self.admin_token = json.loads(self.cli("admin-token", "rotate", "--json"))["admin_token"]
        # Nothing of this machine's environment.
        self._log = open(os.path.join(self._folder.name, "log"), "w+")
        self._process = subprocess.Popen(
            [BINARY, "serve", "--listen", "127.0.0.1:0", *self._data()],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log, text=True, env={"KARTA_LOG": "warn", **variables},
        )
        assert self._process.stdout is not None
        ready = self._process.stdout.readline().split()
        if ready[:2] != ["karta-server", "ready"]:
            self._log.seek(0)
            raise RuntimeError(f"karta-server ended before it was ready: {self._log.read()}")
        self.base_url = ready[2][len("http="):]

    def cli(self, *words: str) -> str:
        return subprocess.run([BINARY, *words, *self._data()], check=True, stdout=subprocess.PIPE, text=True, env={}).stdout

    def client(self, **more: Any) -> Karta:
        return Karta(self.base_url, self.admin_token, **more)

    def stop(self) -> None:
        atexit.unregister(self.stop)
        if hasattr(self, "_process"):
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._log.close()
        self._folder.cleanup()

    def _data(self) -> List[str]:
        return ["--data-dir", os.path.join(self._folder.name, "data")]


@functools.lru_cache(maxsize=None)
def shared() -> RealServer:
    return RealServer()


class Visitor:
    """What the widget would send from a page, as far as these tests need it."""

    def __init__(self, server: RealServer, public_key: str, page: str = PAGE) -> None:
        self._api = f"{server.base_url}/api/v1/widget"
        self._public_key = public_key
        self._page = page
        self._token: Optional[str] = None

    def come(self) -> Dict[str, Any]:
        return self._post("/auth/guest", {"client_key": self._public_key})

    def identify(self, **proof: str) -> Dict[str, Any]:
        return self._post("/auth/exchange", {"client_key": self._public_key, **proof})

    def ask(self, text: str) -> str:
        """The conversation's id."""
        self._token = self.come()["token"]
        session = self._post("/sessions", {})["id"]
        self._post(f"/sessions/{session}/events", {"type": "user.message", "id": "m1", "text": text})
        return str(session)

    def send_file(self, session: str, name: str, content: bytes) -> Dict[str, Any]:
        head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        return self._post(f"/sessions/{session}/files", head.encode() + content + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")

    def _post(self, path: str, body: Any, content_type: str = "application/json") -> Dict[str, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self._api + path, data=data, headers={"Origin": self._page, "Content-Type": content_type})
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Plain)
        with opener.open(request, timeout=PATIENCE_S) as response:
            answer = json.load(response)
        assert isinstance(answer, dict)
        return answer


class _Plain(urllib.request.HTTPErrorProcessor):
    """Refusals are answers too."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response


def until(found: Any, what: str) -> Any:
    """What `found` gives once it is something."""
    end = time.monotonic() + PATIENCE_S
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE_S} seconds: {what}")
        time.sleep(0.02)
