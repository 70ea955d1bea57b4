"""What the server allows beside its submission policy: API keys, limits, LLM endpoints."""

from __future__ import annotations

import hashlib
import hmac
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from autointerp.core.errors import InputError
from autointerp.core.llm_providers import Provider
from autointerp.core.model_shape import ModelShape

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
        return bool(self.entries)

    def find(self, key: str) -> Caller | None:
        """Whose key it is; every entry is compared, in constant time."""
        digest = _digest(key)
        result = None
        for known, caller in self.entries:
            if hmac.compare_digest(known, digest):
                result = caller
        return result

    def named(self, name: str) -> tuple[str, Caller] | None:
        """The entry of a key by its name."""
        return next((entry for entry in self.entries if entry[1].name == name), None)

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
            raise InputError(f"entry {place} of AUTOINTERP_API_KEYS cannot be used: {_HOW}")
        return _digest(text), Caller(f"key{place}", frozenset(Scope))
    names = match["scopes"].split("+")
    unknown = [name for name in names if name not in set(Scope)]
    if unknown:
        raise InputError(f"the API key {match['name']} has the scope {unknown[0]!r}; {_HOW}")
    return match["digest"], Caller(match["name"], frozenset(map(Scope, names)))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """How much callers may ask for."""

    job_units: int = 50_000
    """Units of one job."""
    job_tokens: int = 100_000_000
    """Tokens of corpus that one job reads."""
    jobs_waiting: int = 100
    """Jobs of all keys together that have not ended."""
    jobs_of_key: int = 50
    """The same for one key."""
    body_bytes: int = 1 << 20
    body_s: float = 20.0
    """A body that takes longer is given up."""
    text_tokens: int = 2_000
    """Of a text for live activations."""
    requests_per_s: float = 500.0
    """Of one key."""
    burst: int = 1_000
    """Requests that a key may send at once."""
    wrong_keys_per_s: float = 5.0
    """Of one address; more are told to wait. Right keys are taken meanwhile."""
    submits_per_min: float = 120.0
    """Jobs and requests to workers, of one key."""
    streams_of_key: int = 32
    """Event streams that a key keeps open."""
    worker_calls: int = 16
    """Requests to workers that are open at one time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Everything about the API that settings decide."""

    providers: Mapping[str, Provider] = field(default_factory=dict)
    """LLM endpoints by alias; their addresses are never shown."""
    shapes: Mapping[str, ModelShape] = field(default_factory=dict)
    """Of subject models whose sizes are known before a worker has loaded them, by name."""
    keys: KeyRing = field(default_factory=KeyRing)
    limits: ApiLimits = field(default_factory=ApiLimits)
    folder: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "autointerp-api")
    """Generated downloads; safe to delete."""
    indexes: Path | None = None
    """Where indexes of labels are kept for the next start; safe to delete. None keeps none."""
    store_address: str = ""
    """Where the labels lie, without passwords: tells their indexes from those of another store."""
    rescored: tuple[Path, ...] = ()
    """Folders of labels on another text, whose pages are shown."""
    replies: Path | None = None
    """The reply cache, of which answers are shown; None shows none."""
    refresh_s: float = 0.25
    """How old a list of labels may be."""
    activations_s: float = 30.0
    """How long live activations are waited for."""
    scoring_s: float = 120.0
    """How long the score of a person's explanation is waited for."""
    find_s: float = 120.0
    """How long the search for a feature may take, and is waited for."""
    evidence_s: float = 120.0
    """How long causal evidence may take, and is waited for."""
