"""What an endpoint and model were found to take: options, and room for prompts and replies."""

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
from autointerp.core.files import read_file, write_atomic
from autointerp.llm.chat_model import ChatRequest, Features, JsonSchema, Message, Usage

LIMITS = ("max_tokens", "max_completion_tokens")
"""Names of the limit on a reply's tokens, the older one first."""
OPTIONS = (*LIMITS, "system", "temperature", "response_format", "seed", "stop", "grammar")
"""What may be left out of a request, besides log-probabilities; ``system`` is the role."""
_SHOWN = {"system": "system role", "response_format": "JSON schema"}
_COMPLETED = "the LLM's address lacks /v1 at its end, which was added"
_VALID_S = 7 * 86_400.0
"""An endpoint may get new abilities; after so long it is asked again."""
LEAST_HIDDEN, _MOST_HIDDEN = 4_096, 16_384
_NUMBER = re.compile(r"\d+(?:[,.\u202f\u00a0']\d{3})*")
_LEAST_CONTEXT = 512
# A number below this is not the context of a server, but a usage that means nothing.
_LEAST_READ = 32
# Tokenizers need about four bytes a token; none comes near these, whatever the language.
_MOST_BYTES_A_TOKEN, _LEAST_BYTES = 20, 800


PROBE = 'Reply with {"answer": "yes"} as JSON.'
_WITHOUT_THE_WORD = 'Reply with {"answer": "yes"}.'
# Some services send JSON only to who speaks of it.
PROBES = (PROBE, _WITHOUT_THE_WORD)
"""What is asked; the reply does not matter."""
PROBE_TOKENS = 20
_WHOLE = ChatRequest(
    (),
    PROBE_TOKENS,
    temperature=0.0,
    seed=1,
    schema=JsonSchema(
        "answer",
        '{"type": "object", "properties": {"answer": {"type": "string"}}, '
        '"required": ["answer"], "additionalProperties": false}',
    ),
    top_logprobs=20,
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an endpoint was found not to take, or to need."""

    dropped: frozenset[str] = field(default_factory=frozenset)
    """Those of `OPTIONS` that are not sent."""
    json_object: bool = False
    """Whether it is asked for any JSON object in place of one that follows a schema."""
    max_top_logprobs: int | None = None
    """Most alternatives that it gives; 0 where it gives no log-probabilities."""
    hidden_tokens: int = 0
    """Added to every limit, for a model that reasons out of sight before it answers."""
    n_ctx: int | None = None
    """Tokens that fit a request with its reply, where it has stated that."""
    max_limit: int | None = None
    """The greatest limit on a reply's tokens that it takes, where it has stated that."""
    folder: str = ""
    """Folder below the address where it was found, ``v1/`` where that was left out."""
    echoed: int | None = None
    """Alternatives that it gives for a prompt's tokens, 0 where it gives nothing of the kind;
    None where it was not tried."""

    @property
    def limit_name(self) -> str:
        """The name under which a limit on a reply's tokens is sent, unless both are dropped."""
        return LIMITS[LIMITS[0] in self.dropped]

    @property
    def asked_without(self) -> tuple[str, ...]:
        """What it is asked without, in words, sorted."""
        words = {_SHOWN.get(name, name) for name in self.dropped - {*LIMITS, "grammar"}}
        if self.dropped.issuperset(LIMITS):
            words.add("token limit")
        if self.max_top_logprobs == 0:
            words.add("log-probabilities")
        if self.json_object:
            words.add("JSON schema")
        return tuple(sorted(words))

    def within(self, features: Features) -> Features:
        """The features that remain."""
        most = features.max_top_logprobs
        if self.max_top_logprobs is not None:
            most = min(most, self.max_top_logprobs)
        stated = [n for n in (features.n_ctx, self.n_ctx) if n is not None]
        n_ctx = min(stated, default=None)
        hidden = max(features.hidden_tokens, self.hidden_tokens)
        return replace(
            features,
            schema=features.schema and "response_format" not in self.dropped,
            grammar=features.grammar and "grammar" not in self.dropped,
            system_role=features.system_role and "system" not in self.dropped,
            logprobs=features.logprobs and most > 0,
            max_top_logprobs=most if most > 0 else features.max_top_logprobs,
            n_ctx=n_ctx,
            hidden_tokens=hidden if n_ctx is None else min(hidden, n_ctx // 2),
            echo=features.echo if self.echoed is None else self.echoed > 0,
            asked_without=self.asked_without,
            further_notes=(*features.further_notes, *((_COMPLETED,) if self.folder else ())),
        )

    def without_options(self) -> Capabilities:
        """The same for the plainest request that can be."""
        return replace(self, dropped=frozenset(OPTIONS), max_top_logprobs=0)

    def taking(self, name: str) -> Capabilities:
        """The same where one more option is sent."""
        return replace(self, dropped=self.dropped - {name})

    def with_reasoning(self, n_tokens: int) -> Capabilities:
        """The same once so many hidden tokens have eaten a whole limit."""
        hidden = max(LEAST_HIDDEN, min(_MOST_HIDDEN, 4 * n_tokens))
        return replace(self, hidden_tokens=hidden)


def probe(like: ChatRequest | None = None) -> ChatRequest:
    """A tiny question with the options of a request, or with all that are ever sent."""
    options = _WHOLE if like is None else like
    has_system = like is None or any(message.role == "system" for message in like.messages)
    system = (Message("system", "Be brief."),) if has_system else ()
    names_json = like is None or any("json" in message.content.lower() for message in like.messages)
    turns = (*system, Message("user", PROBE if names_json else _WITHOUT_THE_WORD))
    # One grammar that is refused says nothing about others.
    grammar = None if options.grammar is None else 'root ::= "yes"'
    # A limit may be refused for being too small.
    limit = min(PROBE_TOKENS, options.max_tokens)
    return replace(options, messages=turns, max_tokens=limit, grammar=grammar)


def fewer_alternatives(sent: int, message: str) -> int:
    """How many to request once so many were too many; the most may be in the message."""
    numbers = (int(text) for text in re.findall(r"[0-9]{1,3}(?![0-9])", message))
    # Several endpoints allow 5 and no more.
    return max((n for n in numbers if 0 < n < sent), default=5 if sent > 5 else 0)


class _CapabilityRecord(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[2] = 2
    endpoint: str
    model: str
    moment_s: float
    dropped: list[str]
    json_object: bool
    max_top_logprobs: int | None = Field(ge=0)
    hidden_tokens: int = Field(ge=0, le=_MOST_HIDDEN)
    n_ctx: int | None = Field(ge=1)
    max_limit: int | None = Field(ge=1)
    folder: str = Field(pattern="^(v1/)?$")
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

    def read(self) -> Capabilities | None:
        """What is known; None where the file is missing, damaged or old."""
        if self._path is None:
            return None
        try:
            stored = _CapabilityRecord.model_validate_json(read_file(self._path) or b"")
        except (StorageError, ValidationError):
            return None
        same = (stored.endpoint, stored.model) == (self._endpoint, self._model)
        if not same or not 0 <= self._clock() - stored.moment_s < _VALID_S:
            return None
        return Capabilities(
            frozenset(stored.dropped),
            stored.json_object,
            stored.max_top_logprobs,
            stored.hidden_tokens,
            stored.n_ctx,
            stored.max_limit,
            stored.folder,
            stored.echoed,
        )

    def write(self, known: Capabilities) -> None:
        """Stores it; where the disk refuses, the next process asks again."""
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


@dataclass(frozen=True, slots=True)
class StatedRoom:
    """What an endpoint says there is room for."""

    limit: int
    """Tokens of a reply to this prompt; 0 or less where the prompt itself does not fit."""
    n_ctx: int | None
    """Tokens of a prompt with its reply; None where it is about replies alone."""


def stated_room(text: str, *, limit: int | None, n_bytes: int) -> StatedRoom | None:
    """The room that a refusal's numbers state; None where they state none.

    The limit is the one that was sent, with a prompt of so many bytes. Only numbers and the names
    of the limit are read, which are the same in every language.
    """
    numbers = sorted({int(re.sub(r"\D", "", n)) for n in _NUMBER.findall(text)}, reverse=True)
    sent = limit or 0
    for total in numbers:
        # A prompt's tokens are given with or without those of the reply.
        for n_prompt in {total - sent, total} & {*range(n_bytes // 12, n_bytes + 500)}:
            contexts = (n for n in numbers if n < total and n != sent and _is_context(n))
            n_ctx = next(contexts, None)
            if n_ctx is not None and n_ctx - n_prompt < (limit or n_ctx):
                return StatedRoom(n_ctx - n_prompt, n_ctx)
    # Or the prompt's tokens beside a context that it fits only without its reply.
    for n_ctx in filter(_is_context, numbers):
        for n_prompt in set(numbers) & {*range(n_bytes // 12, n_bytes + 500)} - {n_ctx, sent}:
            if n_prompt < n_ctx < n_prompt + sent:
                return StatedRoom(n_ctx - n_prompt, n_ctx)
    if limit is None or not (limit in numbers or any(name in text for name in LIMITS)):
        return None
    most = next((n for n in numbers if 0 < n < limit), None)
    return None if most is None else StatedRoom(most, None)


def _is_context(number: int) -> bool:
    return number >= _LEAST_CONTEXT and (number % 128 == 0 or number % 1_000 == 0)


class PromptsRead:
    """How many tokens of prompts an endpoint says it has read."""

    def __init__(self) -> None:
        """No prompt yet."""
        self.are_cut = False
        self._bytes: dict[int, tuple[int, int]] = {}

    def is_cut(self, usage: Usage, n_bytes: int) -> bool:
        """Whether a prompt of so many bytes was cut.

        Far too few tokens were read, or a round number that was read of other prompts too, of
        quite another length.
        """
        n_tokens = usage.prompt_tokens
        if n_tokens < _LEAST_READ or n_bytes < _LEAST_BYTES:
            return False
        cut = n_bytes > _MOST_BYTES_A_TOKEN * n_tokens
        if n_tokens % 128 == 0:
            least, most = self._bytes.get(n_tokens, (n_bytes, n_bytes))
            least, most = min(least, n_bytes), max(most, n_bytes)
            self._bytes[n_tokens] = least, most
            cut = cut or most > 1.2 * least
        self.are_cut = self.are_cut or cut
        return cut
