"""API keys: who asks, and what that key may do. Only digests of keys are kept."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from autointerp.core.errors import InputError

KEY_NAME = r"^[A-Za-z0-9_.-]{1,64}$"
"""What the name of a key looks like, and so the owner of a job."""
_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64}):(?P<scopes>[a-z+]+):(?P<digest>[0-9a-f]{64})")
_LEAST = 16
_HOW = (
    "write name:scopes:sha256hex with scopes of read, submit and admin joined by +, or a bare key "
    f"of at least {_LEAST} characters"
)


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    """See jobs, labels and dictionaries."""
    SUBMIT = "submit"
    """Submit jobs, cancel and retry its own, ask workers; implies nothing else."""
    ADMIN = "admin"
    """Cancel and retry everybody's."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    name: str
    scopes: frozenset[Scope]


LOCAL = Caller("local", frozenset(Scope))
"""Whoever sits at this machine, where no keys are configured."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that the server accepts."""

    entries: tuple[tuple[str, Caller], ...] = ()
    """(SHA-256 of the key in hex, whose it is)."""

    def __bool__(self) -> bool:
        """Whether any key is configured."""
        return bool(self.entries)

    def find(self, key: str) -> Caller | None:
        """Whose key it is; every entry is compared, in constant time."""
        digest = _digest(key)
        result = None
        for known, caller in self.entries:
            if hmac.compare_digest(known, digest):
                result = caller
        return result

    @classmethod
    def of(cls, entries: Iterable[str]) -> KeyRing:
        """The key ring that a setting names.

        Raises:
            InputError: an entry is of neither form, or a name stands twice. The entry is not shown.
        """
        result = [_entry(text, place) for place, text in enumerate(entries, 1)]
        names = [caller.name for _, caller in result]
        if len(set(names)) < len(names):
            msg = "AUTOINTERP_API_KEYS names a key twice; give every key a name of its own"
            raise InputError(msg)
        return cls(tuple(result))


def _entry(text: str, place: int) -> tuple[str, Caller]:
    match = _ENTRY.fullmatch(text)
    if match is None:
        if ":" in text or len(text) < _LEAST:
            msg = f"entry {place} of AUTOINTERP_API_KEYS cannot be used: {_HOW}"
            raise InputError(msg)
        return _digest(text), Caller(f"key{place}", frozenset(Scope))
    names = match["scopes"].split("+")
    unknown = [name for name in names if name not in set(Scope)]
    if unknown:
        msg = f"the API key {match['name']} has the scope {unknown[0]!r}; {_HOW}"
        raise InputError(msg)
    return match["digest"], Caller(match["name"], frozenset(map(Scope, names)))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
