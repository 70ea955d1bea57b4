"""Answers to what the API asks workers while a caller waits."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from autointerp.activations import live_activations
from autointerp.activations.sentence_encoder import Embedder, load_embedder
from autointerp.core.config import JobSpec, ScoreConfig
from autointerp.core.errors import AutointerpError, InputError, UpstreamError
from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side, UnitId
from autointerp.core.scores import ScorerResult
from autointerp.core.seeds import derive_seed
from autointerp.jobs.workshop.bench import Bench
from autointerp.jobs.workshop.parts import Parts
from autointerp.llm import CostLog
from autointerp.scorers.scorer_inputs import ScoringSet

_LOG = logging.getLogger(__name__)

_RESULTS = TypeAdapter(tuple[ScorerResult, ...])
_PERSON = "person"


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Activations(_Asked):
    model: str
    units: str
    text: str
    dtype: str = "float32"


class _Explanation(_Asked):
    unit: str
    side: Side
    text: str
    scorers: tuple[str, ...] = ("simulation",)
    llm: str
    llm_model: str | None = None
    seed: int = Field(default=0, ge=0)


class _Texts(_Asked):
    texts: tuple[str, ...] = Field(min_length=1, max_length=512)


class Answers:
    """Answers questions; every answer is JSON, and so is what could not be answered."""

    def __init__(self, parts: Parts, bench: Bench) -> None:
        self._parts, self._bench = parts, bench
        self._embedder: Embedder | None = None

    def answer(self, question: str, kind: str, payload: str) -> None:
        """Sends the reply under the id of the request."""
        self._parts.backend.mailbox.reply(question, json.dumps(self._reply(kind, payload)))

    def is_ready_for(self, kind: str, payload: str) -> bool:
        """Whether it can be answered without letting go of the subject model in hand."""
        if kind != "activations":
            return True
        asked = json.loads(payload)
        return self._bench.has_subject(asked.get("model"), asked.get("dtype", "float32"))

    def _reply(self, kind: str, payload: str) -> dict[str, Any]:
        try:
            return self._asked(kind, payload)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return {"error": f"{first['loc']}: {first['msg']}", "code": "input"}
        except InputError as error:
            return {"error": str(error), "code": "input"}
        except UpstreamError as error:
            return {"error": str(error), "code": "busy" if error.retryable else "upstream"}
        except AutointerpError as error:
            return {"error": str(error), "code": "upstream"}
        except Exception as error:  # noqa: BLE001 - outermost frame of a question: its caller waits
            _LOG.exception("a question about %s failed", kind)
            return {"error": f"a worker failed: {type(error).__name__}", "code": "upstream"}

    def _asked(self, kind: str, payload: str) -> dict[str, Any]:
        if kind == "activations":
            return self._activations(_Activations.model_validate_json(payload))
        if kind == "explanation":
            return asyncio.run(self._scores(_Explanation.model_validate_json(payload)))
        if kind == "embed":
            return self._vectors(_Texts.model_validate_json(payload))
        msg = f"workers know no question {kind!r}"
        raise InputError(msg)

    def _activations(self, asked: _Activations) -> dict[str, Any]:
        subject = self._bench.subject(asked.model, asked.dtype)
        found = live_activations(subject, asked.text, units=asked.units)[0]
        return {
            "model": subject.name,
            "text": found.text,
            "token_ids": list(found.token_ids),
            "tokens": list(found.tokens),
            "units": [
                {"unit": str(unit), "activations": row}
                for unit, row in zip(found.units, found.values.tolist(), strict=True)
            ],
        }

    def _vectors(self, asked: _Texts) -> dict[str, Any]:
        """Vectors of texts, as little-endian halves in base64; the model is loaded once."""
        if self._embedder is None:
            self._embedder = load_embedder()
        vectors = self._embedder.embed(asked.texts).astype("<f2")
        packed = base64.b64encode(vectors.tobytes()).decode()
        return {"width": vectors.shape[1], "vectors": packed}

    async def _scores(self, asked: _Explanation) -> dict[str, Any]:
        unit = UnitId.parse(asked.unit)
        windows = self._windows(unit, asked)
        spec = JobSpec(
            subject=unit.subject,
            units=f"{unit.hook}:{unit.index}",
            score=ScoreConfig(scorers=asked.scorers),
            llm=asked.llm,
            llm_model=asked.llm_model,
            seed=asked.seed,
        )
        self._parts.check(spec)
        model = self._parts.open_llm(spec, None, CostLog())
        if model is None:
            msg = "scoring an explanation in words needs an LLM; name one of the server's"
            raise InputError(msg)
        try:
            tools = self._parts.build_tools(spec, model, (unit,))
            explanation = Explanation(asked.text, _PERSON, None, None, None, 0)
            scorers = [s for s in (tools.simulation, *tools.further) if s is not None]
            wanted = [s for s in scorers if s.name in asked.scorers] or scorers
            found: Sequence[ScorerResult] = await asyncio.gather(
                *(scorer.score(explanation, windows) for scorer in wanted)
            )
        finally:
            await model.close()
        return {
            "unit": str(unit),
            "side": asked.side.value,
            "text": asked.text,
            "results": _RESULTS.dump_python(tuple(found), mode="json"),
        }

    def _windows(self, unit: UnitId, asked: _Explanation) -> ScoringSet:
        sets = self._parts.stores.of(unit.subject).get_sets(unit, asked.side)
        if sets is None or not sets.held_out.records:
            msg = f"{unit} ({asked.side}) has no held-out windows; label it first"
            raise InputError(msg)
        config = ScoreConfig()
        made = ScoringSet.of(
            sets.held_out,
            seed=derive_seed(asked.seed, "bootstrap", str(unit), asked.side),
            n_bootstrap=config.n_bootstrap,
            confidence=config.confidence,
        )
        return made.first(config.n_heldout)
