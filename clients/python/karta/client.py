"""`Karta`: a server, the credentials for it, and its resources. Settings that are not given come from the environment."""

from __future__ import annotations

import os
import ssl
from typing import Any, Dict, Optional, Union, cast

from .absent import UNSET, Unset
from .resources.admin import Admin
from .resources.agents import Agents
from .resources.conversations import Conversations
from .resources.health import Health
from .resources.knowledge import Knowledge
from .resources.user_tokens import UserTokens
from .resources.widget_keys import WidgetKeys
from .resources.widget_settings import WidgetSettings
from .secret import Secret
from .server import Server
from .shapes import UserToken

#: Longer than the server takes for anything: half a minute for a call, as long again to read a document.
TIMEOUT_S = 60.0
RETRIES = 2


class Karta:
    """A client of one karta-server. Holds no connection, so it needs no closing, and threads may share it.

    - `base_url` (or `KARTA_BASE_URL`): where the server is, like `https://agent.example` or `http://127.0.0.1:8787`.
    - `admin_token` (or `KARTA_ADMIN_TOKEN`): opens the admin API. Without it, only `health`, `openapi` and `user_tokens` can be asked.
    - `secret_key` (or `KARTA_SECRET_KEY`): of a widget key; for `user_tokens` only.
    - `timeout`: seconds to wait for a connection, and for each part of an answer.
    - `retries`: how often a call is tried again where that is harmless.
    - `ssl_context`: for a certificate that this machine does not trust by itself.
    """

    def __init__(
        self,
        base_url: Optional[str] = None,
        admin_token: Optional[str] = None,
        *,
        secret_key: Optional[str] = None,
        timeout: float = TIMEOUT_S,
        retries: int = RETRIES,
        ssl_context: Optional[ssl.SSLContext] = None,
    ) -> None:
        token, secret = _hidden(admin_token, "KARTA_ADMIN_TOKEN"), _hidden(secret_key, "KARTA_SECRET_KEY")
        del admin_token, secret_key
        if token is not None:
            token.checked("admin_token")
        if secret is not None:
            secret.checked("secret_key")
        self._server = Server(_where(base_url), timeout, retries, ssl_context)
        self._has_token = token is not None
        admin = Admin(self._server, token)
        self.widget_keys = WidgetKeys(admin)
        self.widget_settings = WidgetSettings(admin)
        self.agents = Agents(admin)
        self.knowledge = Knowledge(admin)
        self.conversations = Conversations(admin)
        self.user_tokens = UserTokens(self._server, secret)
        self.health = Health(self._server)

    def openapi(self) -> Dict[str, Any]:
        """The server's own description of its calls, OpenAPI 3.1."""
        return cast(Dict[str, Any], self._server.call("GET", "/openapi.json"))

    def __repr__(self) -> str:
        if not hasattr(self, "_has_token"):
            return "Karta()"
        return f"Karta({self._server.base_url!r}, admin_token={'***' if self._has_token else None})"


def mint_user_token(
    *,
    external_user_id: Union[str, int],
    secret_key: Optional[str] = None,
    base_url: Optional[str] = None,
    display_name: Union[str, None, Unset] = UNSET,
    email: Union[str, None, Unset] = UNSET,
    agent_id: Union[str, None, Unset] = UNSET,
    timeout: float = TIMEOUT_S,
) -> UserToken:
    """A user token, for a backend that has no other business with Karta: `Karta(…).user_tokens.create(…)` in one call.

    `base_url` and `secret_key` may come from `KARTA_BASE_URL` and `KARTA_SECRET_KEY`.
    """
    hidden = _hidden(secret_key, "KARTA_SECRET_KEY")
    del secret_key
    tokens = UserTokens(Server(_where(base_url), timeout, RETRIES, None), hidden)
    return tokens.create(external_user_id=external_user_id, display_name=display_name, email=email, agent_id=agent_id)


def _hidden(text: Optional[str], variable: str) -> Optional[Secret]:
    if text is None:
        # Empty means not set, as everywhere in the environment.
        text = os.environ.get(variable) or None
    return None if text is None else Secret(text)


def _where(base_url: Optional[str]) -> str:
    where = base_url if base_url is not None else os.environ.get("KARTA_BASE_URL")
    if not where:
        raise ValueError("Say where the server is: base_url=…, or KARTA_BASE_URL in the environment.")
    return where
