"""`client.agents`: who answers, and how. What each setting means is in docs/OPERATING.md."""

from __future__ import annotations

from typing import Iterator, Optional, Sequence, Union, cast

from ..absent import UNSET, Unset, given
from ..page import PAGE_MAX, items
from ..server import path
from ..shapes import Agent, AgentPage, AuthMode, ToolChange
from .admin import Resource

ALL = "/api/v1/agents"
ONE = "/api/v1/agents/{id}"

Text = Union[str, None, Unset]
Number = Union[int, None, Unset]


class Agents(Resource):
    def list(self, *, limit: Optional[int] = None, after: Optional[str] = None) -> AgentPage:
        """One page, oldest first. `limit` is 1 to 100, 50 where it is not given; `after` is `next` of the page before."""
        return cast(AgentPage, self._admin.call("GET", ALL, query={"limit": limit, "after": after}))

    def iterate(self, *, page_size: int = PAGE_MAX) -> Iterator[Agent]:
        """All agents, page by page."""
        return items(lambda after: self.list(limit=page_size, after=after), "agents")

    def create(
        self,
        *,
        name: str,
        avatar_url: Text = UNSET,
        greeting: Text = UNSET,
        suggested_prompts: Union[Sequence[str], Unset] = UNSET,
        instruction: Text = UNSET,
        runtime: Union[str, Unset] = UNSET,
        model: Text = UNSET,
        temperature: Union[float, None, Unset] = UNSET,
        max_tokens: Number = UNSET,
        input_price: Text = UNSET,
        output_price: Text = UNSET,
        response_delay_ms: Union[int, Unset] = UNSET,
        retention_days: Number = UNSET,
        voice: Union[str, Unset] = UNSET,
        voice_minute_price: Text = UNSET,
        tools: Union[Sequence[ToolChange], Unset] = UNSET,
        upload_enabled: Union[bool, Unset] = UNSET,
        widget_enabled: Union[bool, Unset] = UNSET,
        auth_mode: Union[AuthMode, Unset] = UNSET,
        knowledge: Union[Sequence[str], Unset] = UNSET,
    ) -> Agent:
        """Makes an agent; what is not given is as it comes."""
        # Every parameter is a field of the call, by its own name.
        fields = dict(locals())
        del fields["self"]
        return cast(Agent, self._admin.call("POST", ALL, body=given(**fields)))

    def get(self, agent_id: str) -> Agent:
        return cast(Agent, self._admin.call("GET", path(ONE, id=agent_id)))

    def update(
        self,
        agent_id: str,
        *,
        name: Union[str, Unset] = UNSET,
        avatar_url: Text = UNSET,
        greeting: Text = UNSET,
        suggested_prompts: Union[Sequence[str], Unset] = UNSET,
        instruction: Text = UNSET,
        runtime: Union[str, Unset] = UNSET,
        model: Text = UNSET,
        temperature: Union[float, None, Unset] = UNSET,
        max_tokens: Number = UNSET,
        input_price: Text = UNSET,
        output_price: Text = UNSET,
        response_delay_ms: Union[int, Unset] = UNSET,
        retention_days: Number = UNSET,
        voice: Union[str, Unset] = UNSET,
        voice_minute_price: Text = UNSET,
        tools: Union[Sequence[ToolChange], Unset] = UNSET,
        upload_enabled: Union[bool, Unset] = UNSET,
        widget_enabled: Union[bool, Unset] = UNSET,
        auth_mode: Union[AuthMode, Unset] = UNSET,
        knowledge: Union[Sequence[str], Unset] = UNSET,
    ) -> Agent:
        """Changes what is given; None clears. `tools` and `knowledge` take the place of all that were."""
        fields = dict(locals())
        del fields["self"], fields["agent_id"]
        return cast(Agent, self._admin.call("PATCH", path(ONE, id=agent_id), body=given(**fields)))

    def delete(self, agent_id: str) -> None:
        """Its conversations stay until their time is over. Not while a key is pinned to it, and not the last one (`agent_in_use`)."""
        self._admin.call("DELETE", path(ONE, id=agent_id))
