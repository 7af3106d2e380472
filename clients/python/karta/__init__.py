"""The admin API of a karta-server, from Python.

    from karta import Karta

    client = Karta(base_url="https://agent.example", admin_token="adm_live_…")
    created = client.widget_keys.create(name="Main website", domain_allowlist=["https://www.example.com"])

One attribute of the client for each resource, one method for each call. Answers are plain dicts (`shapes` types them), refusals are `KartaError`. Beside the client:
what a backend says about its users, `mint_user_token`, `identity_token` and `identity_token_v2`.

For servers only: the server refuses what a browser sends. Standard library only, since a script that administers a server should have nothing to install.
"""

from .absent import UNSET, Unset
from .client import Karta, mint_user_token
from .error import KartaError
from .identity import identity_token, identity_token_v2
from .version import __version__

__all__ = ["UNSET", "Karta", "KartaError", "Unset", "__version__", "identity_token", "identity_token_v2", "mint_user_token"]
