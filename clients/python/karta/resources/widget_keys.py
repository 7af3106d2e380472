"""`client.widget_keys`: which pages may use the server. A key is named by its id (`k_…`) or its public key (`pk_live_…`)."""

from __future__ import annotations

from typing import Iterator, Optional, Sequence, Union, cast

from ..absent import UNSET, Unset, given
from ..page import PAGE_MAX, items
from ..server import path
from ..shapes import CapsChange, NewWidgetKey, RotatedWidgetKey, WhichSecret, WidgetKey, WidgetKeyPage
from .admin import Resource

ALL = "/api/v1/widget-keys"
ONE = "/api/v1/widget-keys/{id}"


class WidgetKeys(Resource):
    def list(self, *, limit: Optional[int] = None, after: Optional[str] = None) -> WidgetKeyPage:
        """One page, oldest first. `limit` is 1 to 100, 50 where it is not given; `after` is `next` of the page before."""
        return cast(WidgetKeyPage, self._admin.call("GET", ALL, query={"limit": limit, "after": after}))

    def iterate(self, *, page_size: int = PAGE_MAX) -> Iterator[WidgetKey]:
        """All keys, page by page."""
        return items(lambda after: self.list(limit=page_size, after=after), "widget_keys")

    def create(
        self,
        *,
        name: str,
        domain_allowlist: Sequence[str],
        agent_id: Union[str, None, Unset] = UNSET,
        identification_required: Union[bool, Unset] = UNSET,
        caps: Union[CapsChange, Unset] = UNSET,
    ) -> NewWidgetKey:
        """Makes a key, pinned to an agent where `agent_id` is given. `secret_key` and `identity_secret` are in this answer and nowhere else."""
        body = given(
            name=name, domain_allowlist=_listed(domain_allowlist), agent_id=agent_id, identification_required=identification_required, caps=caps
        )
        return cast(NewWidgetKey, self._admin.call("POST", ALL, body=body))

    def get(self, key_id: str) -> WidgetKey:
        return cast(WidgetKey, self._admin.call("GET", path(ONE, id=key_id)))

    def update(
        self,
        key_id: str,
        *,
        name: Union[str, Unset] = UNSET,
        domain_allowlist: Union[Sequence[str], Unset] = UNSET,
        agent_id: Union[str, None, Unset] = UNSET,
        enabled: Union[bool, Unset] = UNSET,
        identification_required: Union[bool, Unset] = UNSET,
        caps: Union[CapsChange, Unset] = UNSET,
    ) -> WidgetKey:
        """Changes what is given. `agent_id=None` lets the page choose the agent; of `caps`, only those that are named change."""
        body = given(
            name=name,
            domain_allowlist=_listed(domain_allowlist),
            agent_id=agent_id,
            enabled=enabled,
            identification_required=identification_required,
            caps=caps,
        )
        return cast(WidgetKey, self._admin.call("PATCH", path(ONE, id=key_id), body=body))

    def rotate(self, key_id: str, which: WhichSecret, *, now: Union[bool, Unset] = UNSET) -> RotatedWidgetKey:
        """Replaces a secret; the new one is in this answer and nowhere else. The old one works for another day, or with `now=True` no longer."""
        return cast(RotatedWidgetKey, self._admin.call("POST", path(ONE, id=key_id) + "/rotate", body=given(which=which, now=now)))

    def delete(self, key_id: str) -> None:
        """For good: open widgets are refused."""
        self._admin.call("DELETE", path(ONE, id=key_id))


def _listed(origins: Union[Sequence[str], Unset]) -> Union[Sequence[str], Unset]:
    if isinstance(origins, Unset):
        return origins
    if isinstance(origins, str):
        # Would become a list of letters.
        raise TypeError("domain_allowlist is a list of origins, not one text.")
    return list(origins)
