"""Lists come in pages; `items` goes through them."""

from __future__ import annotations

from typing import Any, Callable, Iterator

#: The largest page that the server gives, of a list and of a conversation's log.
PAGE_MAX = 100
LOG_PAGE_MAX = 500


def items(page_after: Callable[[Any], Any], name: str) -> Iterator[Any]:
    """Every member of a list, asking for each page when it is reached."""
    after = None
    while True:
        page = page_after(after)
        yield from page[name]
        after = page.get("next")
        if after is None:
            return
