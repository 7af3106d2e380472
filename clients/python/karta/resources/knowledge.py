"""`client.knowledge`: the documents that agents answer from, `.txt`, `.md`, `.pdf` or `.docx`."""

from __future__ import annotations

from typing import Iterator, Optional, Sequence, Union, cast

from ..absent import UNSET, Unset, given
from ..form import File, Form
from ..page import PAGE_MAX, items
from ..server import path
from ..shapes import AddedDocument, Document, DocumentPage, DocumentText
from .admin import Resource

ALL = "/api/v1/knowledge"
ONE = "/api/v1/knowledge/{id}"


class Knowledge(Resource):
    def list(self, *, limit: Optional[int] = None, after: Optional[str] = None) -> DocumentPage:
        """One page, oldest first. `limit` is 1 to 100, 50 where it is not given; `after` is `next` of the page before."""
        return cast(DocumentPage, self._admin.call("GET", ALL, query={"limit": limit, "after": after}))

    def iterate(self, *, page_size: int = PAGE_MAX) -> Iterator[Document]:
        """All documents, page by page, without their texts."""
        return items(lambda after: self.list(limit=page_size, after=after), "documents")

    def add(
        self, file: File, *, name: Optional[str] = None, title: Optional[str] = None, agent_ids: Optional[Sequence[str]] = None
    ) -> AddedDocument:
        """Adds a document, or renews the one with the same title.

        `file` is a path, or bytes with a `name` beside them whose ending says what they are. The title is permanent: `title`, else the first heading, else the file's name.
        It is for every agent, or for those in `agent_ids`.
        """
        if isinstance(agent_ids, str):
            raise TypeError("agent_ids is a list of ids, not one text.")
        if agent_ids is not None and not agent_ids:
            # A form cannot say "for no agent": without a part the document would be for all.
            raise ValueError("agent_ids is empty. Leave it out for every agent, or name some.")
        texts = [("title", title)] if title is not None else []
        texts += [("agent_id", agent_id) for agent_id in agent_ids or ()]
        return cast(AddedDocument, self._admin.call("POST", ALL, form=Form(file, name, texts)))

    def get(self, document_id: str) -> DocumentText:
        return cast(DocumentText, self._admin.call("GET", path(ONE, id=document_id)))

    def replace(self, document_id: str, file: File, *, name: Optional[str] = None) -> AddedDocument:
        """New content under the same title."""
        return cast(AddedDocument, self._admin.call("PUT", path(ONE, id=document_id), form=Form(file, name)))

    def update(self, document_id: str, *, agent_ids: Union[Sequence[str], None, Unset] = UNSET) -> Document:
        """Says whom it is for: these agents, or with None every agent, also those to come."""
        return cast(Document, self._admin.call("PATCH", path(ONE, id=document_id), body=given(agent_ids=agent_ids)))

    def delete(self, document_id: str) -> None:
        self._admin.call("DELETE", path(ONE, id=document_id))
