"""`Form`: a document and the texts beside it, as multipart/form-data (RFC 7578)."""

from __future__ import annotations

import os
import secrets
from typing import Iterable, Optional, Tuple, Union

#: A path, or the bytes themselves.
File = Union[str, "os.PathLike[str]", bytes]


class Form:
    """Read into memory whole: a document has at most 20 MB."""

    def __init__(self, file: File, name: Optional[str], texts: Iterable[Tuple[str, str]] = ()) -> None:
        content, name = _read(file, name)
        # Random: nothing in the file can look like it.
        boundary = secrets.token_hex(16)
        parts = [_part(boundary, f'name="file"; filename="{_escaped(name)}"', content)]
        parts += [_part(boundary, f'name="{field}"', text.encode()) for field, text in texts]
        self.body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        self.content_type = f"multipart/form-data; boundary={boundary}"


def _read(file: File, name: Optional[str]) -> Tuple[bytes, str]:
    if isinstance(file, (bytes, bytearray, memoryview)):
        if not name:
            raise ValueError("Bytes need a name beside them, whose ending says what they are: name=\"shipping.md\".")
        return bytes(file), name
    with open(file, "rb") as opened:
        return opened.read(), name or os.path.basename(os.fspath(file))


def _part(boundary: str, disposition: str, content: bytes) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"


def _escaped(name: str) -> str:
    """As browsers write it (HTML, "multipart/form-data encoding algorithm")."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
