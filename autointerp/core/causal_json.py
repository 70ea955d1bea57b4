"""Causal evidence as JSON, for commands and REST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from autointerp.core.ids import UnitId


def causal_json(found: object) -> dict[str, Any]:
    """Evidence, or a request, with its field names; units as ``subject/hook/index``."""
    result: dict[str, Any] = _plain(found)
    return result


def _plain(value: object) -> Any:
    if isinstance(value, UnitId):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
