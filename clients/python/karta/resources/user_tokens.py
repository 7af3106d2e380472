"""`client.user_tokens`: what a backend says about its signed-in user. The one call that takes a widget key's secret key, and no admin token."""

from __future__ import annotations

from typing import Optional, Union, cast

from ..absent import UNSET, Unset, given
from ..error import KartaError
from ..secret import Secret
from ..server import Server
from ..shapes import UserToken


class UserTokens:
    def __init__(self, server: Server, secret_key: Optional[Secret]) -> None:
        self._server = server
        self._secret_key = secret_key

    def create(
        self,
        *,
        external_user_id: Union[str, int],
        secret_key: Optional[str] = None,
        display_name: Union[str, None, Unset] = UNSET,
        email: Union[str, None, Unset] = UNSET,
        agent_id: Union[str, None, Unset] = UNSET,
    ) -> UserToken:
        """A user token for the page of this user: five minutes, one use, this key's pages only. `external_user_id` is your own id of the user."""
        hidden = self._secret_key if secret_key is None else Secret(secret_key)
        del secret_key
        if hidden is None:
            raise KartaError("token_missing", "This call needs the secret key of a widget key: secret_key=sk_live_…, or KARTA_SECRET_KEY in the environment.")
        hidden.checked("secret_key")
        body = given(external_user_id=external_user_id, display_name=display_name, email=email, agent_id=agent_id)
        return cast(UserToken, self._server.call("POST", "/api/v1/widget/auth/user-token", secret=hidden, body=body))
