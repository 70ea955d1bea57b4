"""Prompt templates: text files that are never edited once released.

A file holds chat turns. A line ``=== system``, ``=== user`` or ``=== assistant`` opens a turn;
``{name}`` is a slot; ``{{`` and ``}}`` are braces. Every slot must be filled and every value
given must have its slot.
"""

from __future__ import annotations

import hashlib
import re
import string
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from autointerp.core.errors import InputError
from autointerp.core.explanations import PromptRef
from autointerp.core.one_line import shortened
from autointerp.core.text import defused

Role = Literal["system", "user", "assistant"]
_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_PACKAGE = Path(__file__).resolve().parent.parent
_VERSION = re.compile(r"v[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True)
class Template:
    """A released prompt."""

    ref: PromptRef
    turns: tuple[tuple[Role, str], ...]
    """(role, text with slots), in order."""

    def render(self, **values: str) -> tuple[tuple[Role, str], ...]:
        """(role, text) of every turn, slots filled.

        No value can hold a mark of the endpoint's chat template; see `core.text`.

        Raises:
            InputError: a slot without a value or a value without a slot.
        """
        slots = {
            field
            for _, text in self.turns
            for _, field, _, _ in string.Formatter().parse(text)
            if field is not None
        }
        if slots != set(values):
            raise InputError(
                f"prompt {self.ref.name}/{self.ref.version} has the slots {sorted(slots)}, "
                f"given were {sorted(values)}"
            )
        safe = {name: defused(value) for name, value in values.items()}
        return tuple((role, text.format_map(safe)) for role, text in self.turns)


def prompts_folder() -> Path:
    """Where the prompts lie: in the package when installed, beside it in a checkout."""
    inside = _PACKAGE / "prompts"
    return inside if inside.is_dir() else _PACKAGE.parent / "prompts"


def prompt_versions(name: str) -> tuple[str, ...]:
    """The released versions of a prompt, oldest first."""
    result = {path.stem for path in prompts_folder().glob("*/v*.txt") if path.parent.name == name}
    return tuple(sorted(filter(_VERSION.fullmatch, result), key=lambda version: int(version[1:])))


@cache
def load_template(name: str, version: str) -> Template:
    """The prompt ``prompts/{name}/{version}.txt``.

    Raises:
        InputError: no such prompt (those that exist are named), or a malformed file.
    """
    # Versions come from job files and requests: nothing but a listed file is ever opened.
    if version not in prompt_versions(name):
        folders = sorted(path.name for path in prompts_folder().iterdir() if path.is_dir())
        known = ", ".join(f"{n}/{v}" for n in folders for v in prompt_versions(n))
        raise InputError(f"there is no prompt {shortened(f'{name}/{version}')}; there are {known}")
    path = prompts_folder() / name / f"{version}.txt"
    text = path.read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Template(PromptRef(name, version, digest), _parse_turns(text, path))


def _parse_turns(text: str, path: Path) -> tuple[tuple[Role, str], ...]:
    turns: list[tuple[Role, list[str]]] = []
    for line in text.split("\n"):
        if line.startswith("=== "):
            role = line[4:].strip()
            if role not in _ROLES:
                raise InputError(f"{path}: {role!r} is not one of {', '.join(_ROLES)}")
            turns.append((_ROLES[role], []))
        elif turns:
            turns[-1][1].append(line)
        elif line.strip():
            raise InputError(f"{path}: text before the first '=== role' line")
    return tuple((role, "\n".join(lines).strip("\n")) for role, lines in turns)
