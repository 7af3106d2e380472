"""`KartaError`: every refusal and failure of a call. Wrong arguments are `ValueError` and `TypeError`, raised before anything is sent."""

from __future__ import annotations

from typing import Optional


class KartaError(Exception):
    """What the server refused, or why it was not reached.

    - `code`: for programs, one of docs/ERRORS.md; or of this client: `connection_failed`, `timeout`, `redirected`, `answer_invalid`.
    - `message`: for people; names the fix.
    - `status`: of HTTP; None where there was no answer.
    - `request_id`: names the call in the server's log; None where the server did not get it.
    - `retry_after`: seconds until it is worth trying again; None where nobody has said.
    """

    def __init__(
        self, code: str, message: str, *, status: Optional[int] = None, request_id: Optional[str] = None, retry_after: Optional[int] = None
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        where = [f"status {self.status}" if self.status else "", f"request {self.request_id}" if self.request_id else ""]
        more = ", ".join(text for text in where if text)
        return f"{self.code}: {self.message}" + (f" ({more})" if more else "")
