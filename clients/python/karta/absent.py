"""Fields that are not given. In a change absent and null are two things: the first leaves what there is, the second (`None`) clears it."""

from __future__ import annotations

import enum
from typing import Any, Dict


class Unset(enum.Enum):
    """An enum and no plain object, so that type checkers can tell it from every value."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset.UNSET


def given(**fields: Any) -> Dict[str, Any]:
    """Those fields that are given, `None` included."""
    return {name: value for name, value in fields.items() if value is not UNSET}
