"""`Secret`: a text that never shows itself, not in a repr, nor in a traceback that prints local variables.

Who gets a secret as an argument hides it in its first line and forgets the argument (`hidden = Secret(text); del text`); only then is it looked at.
"""

from __future__ import annotations

from typing import Any, NoReturn


class Secret:
    """A token or key. Prints `***`."""

    __slots__ = ("_text",)

    def __init__(self, text: Any) -> None:
        # A file or a variable often brings a line's end along.
        self._text = text.strip() if isinstance(text, str) else text

    def checked(self, what: str) -> "Secret":
        """Itself, if it can stand in a header. http.client would refuse it with a message that repeats it."""
        if not isinstance(self._text, str):
            raise TypeError(f"{what} must be a text.")
        if not self._text or not all("!" <= c <= "~" for c in self._text):
            raise ValueError(f"{what} is empty or holds a character that none of Karta's has. Copy it as it was printed.")
        return self

    def startswith(self, prefix: str) -> bool:
        return str(self._text).startswith(prefix)

    def expose(self) -> str:
        """For its one use. What takes it must not print it."""
        return str(self._text)

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")
