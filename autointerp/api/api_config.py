"""What the server allows beside its submission policy: keys, limits, models of LLMs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.api.keys import KeyRing
from autointerp.core.llm_providers import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
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
    """Of one address; more are refused without a look at the key."""
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
    keys: KeyRing = field(default_factory=KeyRing)
    limits: Limits = field(default_factory=Limits)
    folder: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "autointerp-api")
    """Generated downloads; safe to delete."""
    refresh_s: float = 0.25
    """How old a list of labels may be."""
    activations_s: float = 30.0
    """How long live activations are waited for."""
    scoring_s: float = 120.0
    """How long the score of a person's explanation is waited for."""
