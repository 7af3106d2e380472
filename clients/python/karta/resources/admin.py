"""What the resources of the admin API share: each call carries the admin token."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ..error import KartaError
from ..form import Form
from ..secret import Secret
from ..server import Query, Server


class Admin:
    """A server with the token that opens its admin API, if there is one."""

    def __init__(self, server: Server, token: Optional[Secret]) -> None:
        self.server = server
        self._token = token

    def call(
        self, method: str, path: str, *, query: Optional[Query] = None, body: Optional[Mapping[str, Any]] = None, form: Optional[Form] = None
    ) -> Any:
        return self.server.call(method, path, secret=self.token(), query=query, body=body, form=form)

    def token(self) -> Secret:
        if self._token is None:
            # The server's own code for it, and nothing to send.
            raise KartaError("admin_token_missing", "This call needs the admin token: Karta(admin_token=…), or KARTA_ADMIN_TOKEN in the environment.")
        return self._token


class Resource:
    def __init__(self, admin: Admin) -> None:
        self._admin = admin
