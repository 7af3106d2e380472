"""`client.health`: is the process alive, and can it serve. Asks for no token."""

from __future__ import annotations

from typing import cast

from ..server import Server
from ..shapes import Health as State


class Health:
    def __init__(self, server: Server) -> None:
        self._server = server

    def alive(self) -> State:
        """The process runs."""
        return cast(State, self._server.call("GET", "/healthz"))

    def ready(self) -> State:
        """The database answers and the server is not stopping; else the error `overloaded`."""
        return cast(State, self._server.call("GET", "/readyz"))
