"""What an endpoint and model were found to support, stored for the next process."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autointerp.core.errors import StorageError
from autointerp.core.files import write_atomic
from autointerp.llm.chat_model import Features

_VALID_S = 7 * 86_400.0
"""An endpoint may get new abilities; after so long it is probed again."""
_LEAST_HIDDEN, _MOST_HIDDEN = 4_096, 16_384


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an endpoint was found not to support, or to need."""

    dropped: frozenset[str] = field(default_factory=frozenset)
    """Parameters that are not sent; ``max_tokens`` among them sends the limit's newer name."""
    max_top_logprobs: int | None = None
    """Most alternatives that it gives; 0 where it gives no log-probabilities."""
    hidden_tokens: int = 0
    """Added to every limit, for a model that reasons out of sight before it answers."""
    echoed: int | None = None
    """Alternatives that it gives for a prompt's tokens, 0 where it gives nothing of the kind;
    None where it was not tried."""

    def within(self, features: Features) -> Features:
        """The features that remain."""
        most = features.max_top_logprobs
        if self.max_top_logprobs is not None:
            most = min(most, self.max_top_logprobs)
        return replace(
            features,
            schema=features.schema and "response_format" not in self.dropped,
            grammar=features.grammar and "grammar" not in self.dropped,
            logprobs=features.logprobs and most > 0,
            max_top_logprobs=most if most > 0 else features.max_top_logprobs,
            hidden_tokens=max(features.hidden_tokens, self.hidden_tokens),
            echo=features.echo if self.echoed is None else self.echoed > 0,
        )

    def without(self, parameter: str, *, sent: object, message: str) -> Capabilities:
        """The same once the endpoint has rejected a parameter that was sent with this value.

        The most alternatives may be in the endpoint's message.
        """
        if parameter == "top_logprobs" and isinstance(sent, int):
            return replace(self, max_top_logprobs=fewer_alternatives(sent, message))
        if parameter in ("logprobs", "top_logprobs"):
            return replace(self, max_top_logprobs=0)
        return replace(self, dropped=self.dropped | {parameter})

    def with_reasoning(self, n_tokens: int) -> Capabilities:
        """The same once so many hidden tokens have eaten a whole limit."""
        hidden = max(_LEAST_HIDDEN, min(_MOST_HIDDEN, 4 * n_tokens))
        return replace(self, hidden_tokens=hidden)


def fewer_alternatives(sent: int, message: str) -> int:
    """How many to request once so many were too many; the most may be in the message."""
    numbers = (int(text) for text in re.findall(r"[0-9]{1,3}(?![0-9])", message))
    # Several endpoints allow 5 and no more.
    return max((n for n in numbers if 0 < n < sent), default=5 if sent > 5 else 0)


class _CapabilityRecord(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1] = 1
    endpoint: str
    model: str
    moment_s: float
    dropped: list[str]
    max_top_logprobs: int | None = Field(ge=0)
    hidden_tokens: int = Field(ge=0, le=_MOST_HIDDEN)
    echoed: int | None = Field(ge=0)


class CapabilityFile:
    """A small file in a folder, one for an endpoint and model; it only saves requests."""

    def __init__(
        self, folder: Path | None, *, endpoint: str, model: str, clock: Callable[[], float]
    ) -> None:
        """Names the file; without a folder nothing is stored."""
        digest = hashlib.sha256(f"{endpoint}\n{model}".encode("utf-8", "replace")).hexdigest()
        self._path = folder / f"{digest[:24]}.json" if folder is not None else None
        self._endpoint = endpoint
        self._model = model
        self._clock = clock

    def read(self) -> Capabilities:
        """What is known; nothing where the file is missing, damaged or old."""
        if self._path is None:
            return Capabilities()
        try:
            stored = _CapabilityRecord.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return Capabilities()
        same = (stored.endpoint, stored.model) == (self._endpoint, self._model)
        if not same or not 0 <= self._clock() - stored.moment_s < _VALID_S:
            return Capabilities()
        return Capabilities(
            frozenset(stored.dropped), stored.max_top_logprobs, stored.hidden_tokens, stored.echoed
        )

    def write(self, known: Capabilities) -> None:
        """Stores it; where the disk refuses, the next process probes again."""
        if self._path is None:
            return
        stored = _CapabilityRecord(
            endpoint=self._endpoint,
            model=self._model,
            moment_s=self._clock(),
            **(asdict(known) | {"dropped": sorted(known.dropped)}),
        )
        with suppress(StorageError):
            write_atomic(self._path, stored.model_dump_json().encode())
