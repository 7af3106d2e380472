"""`client.conversations`: whom the agents talked with, what was said, and the visitors' files. Nothing here changes anything."""

from __future__ import annotations

from typing import Iterator, Optional, cast

from ..page import LOG_PAGE_MAX, PAGE_MAX, items
from ..server import path
from ..shapes import Conversation, ConversationPage, Event, Transcript
from .admin import Resource

ALL = "/api/v1/conversations"
ONE = "/api/v1/conversations/{id}"


class Conversations(Resource):
    def list(self, *, limit: Optional[int] = None, after: Optional[str] = None) -> ConversationPage:
        """One page, newest first. `limit` is 1 to 100, 50 where it is not given; `after` is `next` of the page before."""
        return cast(ConversationPage, self._admin.call("GET", ALL, query={"limit": limit, "after": after}))

    def iterate(self, *, page_size: int = PAGE_MAX) -> Iterator[Conversation]:
        """All conversations, page by page."""
        return items(lambda after: self.list(limit=page_size, after=after), "conversations")

    def get(self, conversation_id: str, *, limit: Optional[int] = None, after: Optional[int] = None) -> Transcript:
        """One conversation with its files and one page of its `log`, oldest first. `limit` is 1 to 500, 500 where it is not given."""
        return cast(Transcript, self._admin.call("GET", path(ONE, id=conversation_id), query={"limit": limit, "after": after}))

    def iterate_log(self, conversation_id: str, *, page_size: int = LOG_PAGE_MAX) -> Iterator[Event]:
        """All that was said, page by page."""
        return items(lambda after: self.get(conversation_id, limit=page_size, after=after), "log")

    def get_file(self, conversation_id: str, file_id: str) -> bytes:
        """The content of a visitor's file; its name and type are in `files` of the conversation. It is a stranger's: never open it where it could run."""
        where = path(ONE + "/files/{file_id}", id=conversation_id, file_id=file_id)
        return self._admin.server.read("GET", where, secret=self._admin.token()).body
