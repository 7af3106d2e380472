"""`client.widget_settings`: how the widget looks on every page, and who may talk to an agent."""

from __future__ import annotations

from typing import Union, cast

from ..absent import UNSET, Unset, given
from ..server import path
from ..shapes import AgentWidgetSettings, AuthMode, LauncherPosition, WidgetSettings as Settings
from .admin import Resource

ACCOUNT = "/api/v1/widget-settings"
AGENT = "/api/v1/agents/{id}/widget-settings"

Text = Union[str, None, Unset]


class WidgetSettings(Resource):
    def get(self) -> Settings:
        return cast(Settings, self._admin.call("GET", ACCOUNT))

    def update(
        self,
        *,
        primary_color: Text = UNSET,
        accent_color: Text = UNSET,
        accent_foreground: Text = UNSET,
        logo_url: Text = UNSET,
        launcher_position: Union[LauncherPosition, None, Unset] = UNSET,
        launcher_label: Text = UNSET,
        privacy_notice: Text = UNSET,
        footer: Text = UNSET,
        mode: Text = UNSET,
    ) -> Settings:
        """Changes what is given; None clears."""
        body = given(
            primary_color=primary_color,
            accent_color=accent_color,
            accent_foreground=accent_foreground,
            logo_url=logo_url,
            launcher_position=launcher_position,
            launcher_label=launcher_label,
            privacy_notice=privacy_notice,
            footer=footer,
            mode=mode,
        )
        return cast(Settings, self._admin.call("PATCH", ACCOUNT, body=body))

    def replace(
        self,
        *,
        primary_color: Text = UNSET,
        accent_color: Text = UNSET,
        accent_foreground: Text = UNSET,
        logo_url: Text = UNSET,
        launcher_position: Union[LauncherPosition, None, Unset] = UNSET,
        launcher_label: Text = UNSET,
        privacy_notice: Text = UNSET,
        footer: Text = UNSET,
        mode: Text = UNSET,
    ) -> Settings:
        """Sets what is given and clears the rest."""
        body = given(
            primary_color=primary_color,
            accent_color=accent_color,
            accent_foreground=accent_foreground,
            logo_url=logo_url,
            launcher_position=launcher_position,
            launcher_label=launcher_label,
            privacy_notice=privacy_notice,
            footer=footer,
            mode=mode,
        )
        return cast(Settings, self._admin.call("PUT", ACCOUNT, body=body))

    def get_agent(self, agent_id: str) -> AgentWidgetSettings:
        return cast(AgentWidgetSettings, self._admin.call("GET", path(AGENT, id=agent_id)))

    def update_agent(
        self, agent_id: str, *, widget_enabled: Union[bool, Unset] = UNSET, auth_mode: Union[AuthMode, Unset] = UNSET
    ) -> AgentWidgetSettings:
        """Says who may talk to an agent: nobody (`widget_enabled=False`), guests, identified users, or both."""
        body = given(widget_enabled=widget_enabled, auth_mode=auth_mode)
        return cast(AgentWidgetSettings, self._admin.call("PATCH", path(AGENT, id=agent_id), body=body))
