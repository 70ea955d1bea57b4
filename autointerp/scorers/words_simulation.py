"""Simulation with many windows a call at the least cost: plain texts, and only the active words.

Texts are shown as they are and not token by token, and a reply names words and not places. What
that loses is which token of a word is meant where no part of it is named: all of them get its
level, which ranks labels better than the first or the last alone.
There are no expected values.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.levels import MAX_LEVEL
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import ScorerResult
from autointerp.llm import ChatModel, ChatRequest, JsonSchema, Message, PromptTooLongError
from autointerp.scorers.asking import (
    Answer,
    ask_in_parts,
    batches,
    quoted,
    trial_of,
    why_refused,
)
from autointerp.scorers.evidence import ScoringSet, predicted_scores
from autointerp.scorers.simulation import expectation_note
from autointerp.scorers.words_reply import read_words
from autointerp.templates import load_template

__all__ = ["WORDS_PER_CALL", "WordsSimulation"]

WORDS_PER_CALL = 16
"""Windows a call by default, which costs a third of what one at a time does."""


class WordsSimulation:
    """Predicts activations of held-out windows from lists of the active words."""

    name = "simulation_words"

    def __init__(self, model: ChatModel, *, windows_per_call: int = WORDS_PER_CALL) -> None:
        """Asks for so many windows at a time."""
        self._model = model
        self._per_call = windows_per_call
        self._template = load_template("simulate_sparse", "v2")

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """The prompt for lists of words."""
        return (self._template.ref,)

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Population, top-and-random and other scores of the simulated activations."""
        asked = batches(windows, self._per_call, self.name)
        scale = windows.peak / MAX_LEVEL

        async def answers(batch: Sequence[ActivationRecord]) -> list[Answer]:
            return await self._answers(explanation.text, batch, scale, fresh=windows.fresh)

        replies = await asyncio.gather(*(ask_in_parts(answers, batch) for batch in asked))
        found = {
            record.window: answer
            for batch, own in zip(asked, replies, strict=True)
            for record, answer in zip(batch, own, strict=True)
        }
        trials = tuple(trial_of(record, found[record.window]) for record in windows.records)
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=predicted_scores(windows, trials),
            trials=trials,
            notes=(expectation_note(()),),
        )

    async def _answers(
        self, explanation: str, batch: Sequence[ActivationRecord], scale: float, *, fresh: bool
    ) -> list[Answer]:
        """For each window its predicted activations, or why they could not be had.

        Raises:
            PromptTooLongError: several windows do not fit together.
        """
        shown = [_shown(record.tokens) for record in batch]
        try:
            reply = await self._model.reply(self._request(explanation, shown, fresh=fresh))
        except RequestRefusedError as error:
            if isinstance(error, PromptTooLongError) and len(batch) > 1:
                raise
            return [Answer(failure=why_refused(error))] * len(batch)
        if not reply.text.strip():
            return [Answer(failure=f"the reply is empty ({reply.finish_reason})")] * len(batch)
        return [
            Answer(failure=levels)
            if isinstance(levels, str)
            else Answer(predicted=tuple(level * scale for level in levels))
            for levels in read_words(reply, shown, top=MAX_LEVEL)
        ]

    def _request(
        self, explanation: str, windows: Sequence[Sequence[str]], *, fresh: bool
    ) -> ChatRequest:
        texts = [f"{i}: {quoted(''.join(tokens))}" for i, tokens in enumerate(windows, 1)]
        turns = self._template.render(explanation=explanation, texts="\n".join(texts))
        n = len(windows)
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            # Room for two words in three, each of six tokens with its level and punctuation.
            max_tokens=40 + sum(4 + 4 * len(tokens) for tokens in windows),
            schema=_schema(n),
            grammar=_grammar(n) if self._model.features.grammar else None,
            fresh=fresh,
        )


def _shown(tokens: Sequence[str]) -> tuple[str, ...]:
    """The tokens as they are sent, so that words are looked for in what was shown."""
    return tuple(json.loads(quoted(token)) for token in tokens)


def _schema(n_windows: int) -> JsonSchema:
    pair = {
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    }
    windows = {
        "type": "array",
        "minItems": n_windows,
        "maxItems": n_windows,
        "items": {"type": "array", "items": pair},
    }
    schema = {
        "type": "object",
        "properties": {"windows": windows},
        "required": ["windows"],
        "additionalProperties": False,
    }
    return JsonSchema("active_words", json.dumps(schema))


def _grammar(n_windows: int) -> str:
    lists = ' ", " '.join(["list"] * n_windows)
    return (
        f'root ::= "{{\\"windows\\": [" {lists} "]}}"\n'
        'list ::= "[" (pair (", " pair)*)? "]"\n'
        'pair ::= "[" word ", " level "]"\n'
        'word ::= "\\"" char{1,40} "\\""\n'
        'char ::= [^"\\\\\\x00-\\x1F] | "\\\\" ["\\\\/nt]\n'
        'level ::= "10" | [0-9]'
    )
