"""Fields that came after the first labels were stored."""

from __future__ import annotations

from typing import Any

from pydantic import Field

LATER: Any = Field(exclude_if=lambda value: not value)
"""Stored only where it holds something, so that labels without it keep the bytes they had."""
