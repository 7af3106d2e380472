"""Whether a value has the shape that it is typed with, field by field: what a type checker believes, held against real answers."""

from __future__ import annotations

import typing
from typing import Any, Dict, List, Literal, Union


def problems(value: Any, shape: Any, where: str = "answer") -> List[str]:
    origin, inner = typing.get_origin(shape), typing.get_args(shape)
    if shape is Any:
        return []
    if typing.is_typeddict(shape) if hasattr(typing, "is_typeddict") else hasattr(shape, "__required_keys__"):
        return _fields(value, shape, where)
    if origin is Union:
        found = [problems(value, one, where) for one in inner]
        return [] if any(not one for one in found) else found[0]
    if origin is Literal:
        return [] if value in inner else [f"{where} is {value!r}, none of {inner}"]
    if origin is list:
        return _wrong(value, list, where) or [p for i, one in enumerate(value) for p in problems(one, inner[0], f"{where}[{i}]")]
    if origin is dict:
        return _wrong(value, dict, where) or [p for name, one in value.items() for p in problems(one, inner[1], f"{where}.{name}")]
    # Whole numbers are numbers; a bool is no int here.
    taken = (int, float) if shape is float else shape
    if isinstance(value, bool) and shape is not bool:
        return [f"{where} is a bool, not {shape}"]
    return _wrong(value, taken, where)


def _fields(value: Any, shape: Any, where: str) -> List[str]:
    if not isinstance(value, dict):
        return [f"{where} is no object"]
    hints: Dict[str, Any] = typing.get_type_hints(shape)
    missing = [f"{where} lacks {name}" for name in shape.__required_keys__ - value.keys()]
    unknown = [f"{where} has {name}, which the shape has not" for name in value.keys() - hints.keys()]
    inside = [p for name in value.keys() & hints.keys() for p in problems(value[name], hints[name], f"{where}.{name}")]
    return missing + unknown + inside


def _wrong(value: Any, taken: Any, where: str) -> List[str]:
    return [] if isinstance(value, taken) else [f"{where} is {value!r}, not {taken}"]
