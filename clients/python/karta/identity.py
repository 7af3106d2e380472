"""Who a user is, signed on your own server with the key's identity secret. Pure: asks nobody, reads no clock.

The same rules as the server's: an id is its bytes, so nothing is trimmed, folded or normalised.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import unicodedata
from typing import Optional

from .absent import UNSET, given
from .secret import Secret

USER_ID_MAX_BYTES = 256
#: Those of Karta's that are no identity secret. What signs with them is refused much later, by a message about the page.
_OTHERS = {"sk_live_": "a secret key", "pk_live_": "a public key", "adm_live_": "an admin token"}


def identity_token(secret: str, user_id: str) -> str:
    """The plain proof, lowercase hex: `identityToken` or `data-user-hash` beside the user's id. Good until the secret is rotated.

    `secret` is the identity secret (`is_live_…`), not the secret key (`sk_live_…`).
    """
    hidden = Secret(secret)
    del secret
    _check_secret(hidden)
    _check_user_id(user_id)
    if _reads_like_v2(user_id):
        # Its plain proof would be the signature of a v2 token, for whomever the id names inside.
        raise ValueError("This user id reads like the inside of a v2 token, so it is not signed. Sign ids that your own system gave out.")
    return _sign(hidden, user_id)


def identity_token_v2(
    secret: str, user_id: str, *, exp: Optional[int] = None, stepped_up_at: Optional[int] = None, aal: Optional[str] = None
) -> str:
    """The proof that can end and can say when the user last proved more than a password: `v2.<payload>.<hex>`.

    `exp` ends it; `stepped_up_at` and `aal` ("aal2") are what the server keeps of a step-up. Times are seconds since 1970: `int(time.time()) + 300` is in five minutes.
    """
    hidden = Secret(secret)
    del secret
    _check_secret(hidden)
    _check_user_id(user_id)
    if aal is not None and not (0 < len(aal) <= 32 and all("!" <= c <= "~" for c in aal)):
        raise ValueError("aal is 1 to 32 characters of ASCII without spaces, like aal2.")
    payload = given(
        user_id=user_id,
        exp=UNSET if exp is None else _seconds("exp", exp),
        stepped_up_at=UNSET if stepped_up_at is None else _seconds("stepped_up_at", stepped_up_at),
        aal=UNSET if aal is None else aal,
    )
    encoded = base64.urlsafe_b64encode(json.dumps(payload, separators=(",", ":")).encode()).rstrip(b"=").decode()
    return f"v2.{encoded}.{_sign(hidden, encoded)}"


def _sign(secret: Secret, text: str) -> str:
    return hmac.new(secret.expose().encode(), text.encode(), hashlib.sha256).hexdigest()


def _check_secret(secret: Secret) -> None:
    secret.checked("The identity secret")
    for prefix, name in _OTHERS.items():
        if secret.startswith(prefix):
            raise ValueError(f"This is {name}. User ids are signed with the key's identity secret, is_live_….")


def _check_user_id(user_id: str) -> None:
    if not isinstance(user_id, str):
        raise TypeError("A user id is a text; str() makes one of a number.")
    size = len(user_id.encode("utf-8", "surrogatepass"))
    odd = any(unicodedata.category(c) in ("Cc", "Cs") for c in user_id)
    if not 1 <= size <= USER_ID_MAX_BYTES or odd:
        raise ValueError(f"A user id has 1 to {USER_ID_MAX_BYTES} bytes without control characters.")


def _reads_like_v2(user_id: str) -> bool:
    try:
        inside = json.loads(base64.b64decode(user_id + "=" * (-len(user_id) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(inside, dict)


def _seconds(name: str, at: int) -> int:
    if isinstance(at, bool) or not isinstance(at, (int, float)) or not 0 <= at < 1e11:
        # Milliseconds, the usual slip, would never end.
        raise ValueError(f"{name} is a time in seconds since 1970, like int(time.time()) + 300.")
    return int(at)
