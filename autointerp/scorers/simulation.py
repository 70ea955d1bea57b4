"""Simulation (Bills et al. 2023): an LLM that sees only the explanation predicts every level.

Levels are generated, one a token. Where the endpoint gives log-probabilities the prediction is
the expected level, else the level as it stands. Prompt v1 asks instruction-following models for
JSON rows of eight levels; v2 shows few-shot turns of digits to small models.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import ScorerResult, Trial
from autointerp.llm import ChatModel, ChatReply, ChatRequest, JsonSchema, Message
from autointerp.scorers.evidence import ScoringSet, predicted_scores
from autointerp.scorers.levels_reply import (
    LevelsReply,
    UnreadableLevelsError,
    read_digits,
    read_rows,
)
from autointerp.templates import load_template

__all__ = ["Simulation", "render_rows"]

_PROMPT = "simulate_levels"
_ROW = 8
_TOP = {"v1": 10, "v2": 9}


class Simulation:
    """Predicts activations of held-out windows, one request a window."""

    name = "simulation"

    def __init__(self, model: ChatModel, *, version: str | None = None) -> None:
        self._model = model
        self._version = version or ("v2" if model.features.small else "v1")
        self._template = load_template(_PROMPT, self._version)

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """The simulation prompt."""
        return (self._template.ref,)

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Population, top-and-random and other scores of the simulated activations."""
        asked = [self._trial(explanation.text, record, windows) for record in windows.records]
        outcomes = await asyncio.gather(*asked)
        trials = tuple(trial for trial, _ in outcomes)
        off = [mass for _, mass in outcomes if mass is not None]
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=predicted_scores(windows, trials),
            trials=trials,
            notes=(_kind(off),),
        )

    async def _trial(
        self, explanation: str, record: ActivationRecord, windows: ScoringSet
    ) -> tuple[Trial, float | None]:
        predicted, failure, off_mass = None, None, None
        try:
            request = self._request(explanation, record.tokens)
            reply = await self._model.reply(replace(request, fresh=windows.fresh))
            read = self._read(reply, len(record.tokens))
            scale = windows.peak / _TOP[self._version]
            predicted, off_mass = tuple(level * scale for level in read.levels), read.off_mass
        except UnreadableLevelsError as error:
            failure = str(error)
        except RequestRefusedError as error:
            failure = f"refused: {error}"
        trial = Trial(
            window=record.window,
            stratum=record.stratum,
            weight=record.weight,
            predicted=predicted,
            verdict=None,
            probability=None,
            failure=failure,
        )
        return trial, off_mass

    def _request(self, explanation: str, tokens: Sequence[str]) -> ChatRequest:
        n_tokens = len(tokens)
        features = self._model.features
        few_shot = self._version == "v2"
        rows = "|".join(_one_line(t) for t in tokens) if few_shot else render_rows(tokens)
        turns = self._template.render(explanation=explanation, rows=rows)
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            max_tokens=n_tokens + 4 if few_shot else 60 + 4 * n_tokens,
            schema=None if few_shot else _rows_schema(_row_lengths(n_tokens)),
            grammar=_grammar(n_tokens, rows=not few_shot) if features.grammar else None,
            top_logprobs=min(20, features.max_top_logprobs) if features.logprobs else 0,
        )

    def _read(self, reply: ChatReply, n_tokens: int) -> LevelsReply:
        if reply.finish_reason == "length":
            msg = "the reply was cut off at its token limit"
            raise UnreadableLevelsError(msg)
        if not reply.text.strip():
            msg = f"the reply is empty ({reply.finish_reason})"
            raise UnreadableLevelsError(msg)
        if self._version == "v2":
            return read_digits(reply, n_tokens=n_tokens)
        return read_rows(reply, row_lengths=_row_lengths(n_tokens), top=_TOP["v1"])


def _kind(off_masses: Sequence[float]) -> str:
    if not off_masses:
        return "levels as generated, without log-probabilities"
    mean = sum(off_masses) / len(off_masses)
    return f"expected levels from log-probabilities; {mean:.1%} of the mass was on no level"


def _row_lengths(n_tokens: int) -> tuple[int, ...]:
    return tuple(min(_ROW, n_tokens - first) for first in range(0, n_tokens, _ROW))


def render_rows(tokens: Sequence[str]) -> str:
    """Tokens as JSON strings, eight a numbered row."""
    lines = []
    for number, first in enumerate(range(0, len(tokens), _ROW), 1):
        cells = [json.dumps(token, ensure_ascii=False) for token in tokens[first : first + _ROW]]
        lines.append(f"{number}: {', '.join(cells)}")
    return "\n".join(lines)


def _one_line(token: str) -> str:
    shown = token.replace("\n", "↵").replace("|", "¦")
    return "".join(c if c.isprintable() else "·" for c in shown)


def _rows_schema(row_lengths: Sequence[int]) -> JsonSchema:
    schema = {
        "type": "object",
        "properties": {
            "rows": {
                "type": "array",
                "minItems": len(row_lengths),
                "maxItems": len(row_lengths),
                "items": {"type": "array", "items": {"type": "integer"}},
            }
        },
        "required": ["rows"],
        "additionalProperties": False,
    }
    return JsonSchema("levels", json.dumps(schema))


def _grammar(n_tokens: int, *, rows: bool) -> str:
    # A schema alone lets a small model emit white space without end; a grammar forbids it.
    if not rows:
        return f"root ::= [0-9]{{{n_tokens}}}"
    lists = ['"[" l ' + '", " l ' * (n - 1) + '"]"' for n in _row_lengths(n_tokens)]
    body = ' ", " '.join(lists)
    return f'root ::= "{{\\"rows\\": [" {body} "]}}"\nl ::= "10" | [0-9]'
