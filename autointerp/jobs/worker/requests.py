"""Replies to the API's requests to workers, each of which a caller waits for.

They are sent when nothing else is done, and between two steps of other work: a shard takes minutes,
and a caller who typed a text waits seconds.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from autointerp.activations import live_activations, strongest_units
from autointerp.activations.sentence_encoder import SentenceEncoder, load_embedder
from autointerp.core.characters import join_tokens
from autointerp.core.errors import AutointerpError, InputError, UpstreamError, first_problem
from autointerp.core.ids import Side
from autointerp.core.scores import ScorerResult
from autointerp.core.unit_spec import MOST_READ
from autointerp.corpora.document_text import LostDocument, SoughtWindow, text_around
from autointerp.jobs.worker.asked_evidence import EvidenceAsked, evidence_asked
from autointerp.jobs.worker.asked_find import FindAsked, find_asked
from autointerp.jobs.worker.given_scores import ScoringRequest, score_given
from autointerp.jobs.worker.resources import LoadedModels, WorkerDependencies
from autointerp.store.jobs import WorkerMailbox, WorkerRequest
from autointerp.subjects import parse_units

_LOG = logging.getLogger(__name__)
_LOOK_S, _AWAY_S = 0.2, 5.0

_RESULTS = TypeAdapter(tuple[ScorerResult, ...])
_WITH_SUBJECT = frozenset({"activations", "strongest", "document", "evidence", "find"})


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Activations(_Request):
    model: str
    units: str
    text: str | None = None
    token_ids: tuple[int, ...] | None = None
    dtype: str = "float32"


class _Maxima(_Request):
    hook: str
    side: Side
    indices: tuple[int, ...]
    maxima: tuple[float, ...]


class _Strongest(_Request):
    model: str
    text: str | None = None
    token_ids: tuple[int, ...] | None = None
    layers: tuple[int, ...] | None = None
    n: int
    maxima: tuple[_Maxima, ...] = ()
    dtype: str = "float32"


class _Document(_Request):
    model: str
    dtype: str = "float32"
    corpus: str
    seed: int
    document: str
    source: str
    offset: int = Field(ge=0)
    token_ids: tuple[int, ...] = Field(min_length=1)


class _Texts(_Request):
    texts: tuple[str, ...] = Field(min_length=1, max_length=512)


class RequestHandler:
    """Replies to requests, in JSON; a request that fails gets an error as its reply."""

    def __init__(self, deps: WorkerDependencies, models: LoadedModels) -> None:
        self._deps, self._models = deps, models
        self._embedder: SentenceEncoder | None = None

    def handle(self, request: WorkerRequest) -> None:
        """Sends the reply to a request."""
        kind, payload = json.loads(request.text)
        reply = json.dumps(self._reply(kind, payload, request.left_s))
        self._deps.backend.mailbox.reply(request.id, reply)

    def is_ready_for(self, request: WorkerRequest) -> bool:
        """Whether the reply needs no other subject model than the loaded one."""
        kind, payload = json.loads(request.text)
        if kind not in _WITH_SUBJECT:
            return True
        asked = json.loads(payload)
        return self._models.has_subject(asked.get("model"), asked.get("dtype", "float32"))

    def _reply(self, kind: str, payload: str, left_s: float) -> dict[str, Any]:
        try:
            return self._result(kind, payload, left_s)
        except ValidationError as error:
            return {"error": first_problem(error), "code": "input"}
        except InputError as error:
            return {"error": str(error), "code": "input"}
        except UpstreamError as error:
            return {"error": str(error), "code": "busy" if error.retryable else "upstream"}
        except AutointerpError as error:
            return {"error": str(error), "code": "upstream"}
        except Exception as error:  # noqa: BLE001 - outermost frame of a request
            _LOG.exception("a request of kind %s failed", kind)
            return {"error": f"a worker failed: {type(error).__name__}", "code": "upstream"}

    def _result(self, kind: str, payload: str, left_s: float) -> dict[str, Any]:
        replies: dict[str, Callable[[], dict[str, Any]]] = {
            "activations": lambda: self._activations(_Activations.model_validate_json(payload)),
            "strongest": lambda: self._strongest(_Strongest.model_validate_json(payload)),
            "explanation": lambda: self._explanation(ScoringRequest.model_validate_json(payload)),
            "embed": lambda: self._vectors(_Texts.model_validate_json(payload)),
            "document": lambda: self._document(_Document.model_validate_json(payload)),
            "evidence": lambda: evidence_asked(
                self._deps.stores,
                self._models,
                EvidenceAsked.model_validate_json(payload),
                left_s=left_s,
            ),
            "find": lambda: find_asked(
                self._models, FindAsked.model_validate_json(payload), left_s=left_s
            ),
        }
        if kind not in replies:
            raise InputError(f"unknown request {kind!r}: workers know {', '.join(replies)}")
        return replies[kind]()

    def _explanation(self, asked: ScoringRequest) -> dict[str, Any]:
        return asyncio.run(score_given(self._deps, self._models, asked))

    def _activations(self, asked: _Activations) -> dict[str, Any]:
        subject = self._models.subject(asked.model, asked.dtype)
        text = asked.text if asked.token_ids is None else asked.token_ids
        units = parse_units(asked.units, subject)
        n = sum(len(group.indices) for group in units)
        if n > MOST_READ:
            # Those of a whole layer, or of a file, are counted here alone.
            raise InputError(f"{n:,} units were asked for, at most {MOST_READ} are read at a time")
        result = live_activations(subject, [text or ""], units=units)[0]
        return {
            "model": subject.name,
            "text": result.text,
            "token_ids": list(result.token_ids),
            "tokens": list(result.tokens),
            "units": [
                {"unit": str(unit), "activations": row}
                for unit, row in zip(result.units, result.values.tolist(), strict=True)
            ],
        }

    def _strongest(self, asked: _Strongest) -> dict[str, Any]:
        subject = self._models.subject(asked.model, asked.dtype)
        found = strongest_units(
            subject,
            (asked.text or "") if asked.token_ids is None else asked.token_ids,
            asked.n,
            layers=asked.layers,
            maxima={
                (known.hook, known.side): dict(zip(known.indices, known.maxima, strict=True))
                for known in asked.maxima
            },
        )
        text = join_tokens(found.tokens) if asked.text is None else asked.text
        return {"model": subject.name, "text": text, **found.plain}

    def _document(self, asked: _Document) -> dict[str, Any]:
        """The text around a window, or why it cannot be had."""
        tokenizer = self._models.subject(asked.model, asked.dtype).tokenizer
        sought = SoughtWindow(**asked.model_dump(exclude={"model", "dtype"}))
        try:
            found = text_around(sought, tokenizer)
        except InputError as error:
            found = LostDocument(False, f"the corpus cannot be read any more: {error}")
        return asdict(found)

    def _vectors(self, asked: _Texts) -> dict[str, Any]:
        """Vectors of texts, as little-endian halves in base64; the model is loaded once."""
        if self._embedder is None:
            self._embedder = load_embedder()
        vectors = self._embedder.embed(asked.texts).astype("<f2")
        packed = base64.b64encode(vectors.tobytes()).decode()
        return {"width": vectors.shape[1], "vectors": packed}


class RequestQueue:
    """The requests to one queue of workers."""

    def __init__(self, mailbox: WorkerMailbox, handler: RequestHandler, queue: str) -> None:
        self._mailbox, self._handler, self._queue = mailbox, handler, queue
        self._look_again = 0.0

    def reply_to_all(self, *, wait_s: float = 0) -> None:
        """Replies to every waiting request; waits up to `wait_s` seconds for the first."""
        while (request := self._mailbox.next_request(self._queue, wait_s=wait_s)) is not None:
            self._handler.handle(request)
            wait_s = 0

    def reply_between_steps(self) -> None:
        """Replies where that does not cost the work in hand its subject model.

        It may be called often, and does not raise where Redis is away or full: the work goes on.
        A request that needs another model waits for another worker, or until this one is idle.
        """
        if time.monotonic() < self._look_again:
            return
        try:
            self._reply_to_ready()
        except AutointerpError as error:
            _LOG.warning("requests cannot be taken now: %s", error)
            self._look_again = time.monotonic() + _AWAY_S
        else:
            self._look_again = time.monotonic() + _LOOK_S

    def _reply_to_ready(self) -> None:
        while (request := self._mailbox.next_request(self._queue)) is not None:
            if not self._handler.is_ready_for(request):
                self._mailbox.send(self._queue, request.id, request.text, ttl_s=request.left_s)
                return
            self._handler.handle(request)
