"""Simulation with many windows a call at the least cost: plain texts, and only the active words.

Texts are shown as they are and not token by token, and a reply names words and not places. What
that loses is which token of a word is meant where no part of it is named: all of them get its
level, which ranks labels better than the first or the last alone.
There are no expected values. Prompt v2 asks instruction-following models, v4 shows few-shot turns
to small ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import ceil

from autointerp.core.config import JobSpec
from autointerp.core.records import MAX_LEVEL
from autointerp.core.text import quoted
from autointerp.core.variants import PHRASE, TEXT, PromptCalls
from autointerp.llm import ChatModel, ChatReply, ChatRequest, Features, JsonSchema
from autointerp.llm.reply_formats import (
    LEVEL,
    array_schema,
    chat_request,
    in_turn,
    literal,
    object_schema,
    some_of,
)
from autointerp.scorers.scorer_spec import ScorerSpec
from autointerp.scorers.simulation.dense_simulation import FormSimulation
from autointerp.scorers.simulation.level_forms import Windows
from autointerp.scorers.simulation.levels_reply import LevelsReply
from autointerp.scorers.simulation.words_reply import read_words
from autointerp.templates import load_template

WORDS_PER_CALL = 16
"""Windows a call by default, which costs a third of what one at a time does."""

_WORD = re.compile(r"\w+|[^\w\s]+")
_LONGEST_WORD = 40


class WordsSimulation(FormSimulation):
    """Predicts activations of held-out windows from lists of the active words."""

    name = "simulation_words"

    def __init__(self, model: ChatModel, *, windows_per_call: int = WORDS_PER_CALL) -> None:
        """Asks for so many windows at a time."""
        form = _Words("v4" if model.features.small else "v2")
        super().__init__(model, form, windows_per_call)


class _Words:
    top = MAX_LEVEL

    def __init__(self, version: str) -> None:
        self.template = load_template("simulate_sparse", version)

    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        texts = [f"{i}: {quoted(''.join(_shown(tokens)))}" for i, tokens in enumerate(windows, 1)]
        turns = self.template.render(explanation=explanation, texts="\n".join(texts))
        return chat_request(
            features,
            turns,
            # Room for two words in three, each of six tokens with its level and punctuation.
            max_tokens=40 + sum(4 + 4 * len(tokens) for tokens in windows),
            schema=_schema(windows),
            grammar=_grammar(windows) if features.grammar else None,
        )

    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        shown = [_shown(tokens) for tokens in windows]
        return [
            levels if isinstance(levels, str) else LevelsReply(levels, None)
            for levels in read_words(reply, shown, top=self.top)
        ]


def _shown(tokens: Sequence[str]) -> tuple[str, ...]:
    """The tokens as they are sent, so that words are looked for in what was shown."""
    return tuple(json.loads(quoted(token)) for token in tokens)


def _schema(windows: Windows) -> JsonSchema:
    level = {"type": "integer", "minimum": 0, "maximum": MAX_LEVEL}
    pair = array_schema({"anyOf": [{"type": "string"}, level]}, least=2, most=2)
    words = array_schema(pair, most=max(len(tokens) for tokens in windows))
    n = len(windows)
    return object_schema("active_words", {"windows": array_schema(words, least=n, most=n)})


def _grammar(windows: Windows) -> str:
    names = [f"w{i}" for i in range(1, len(windows) + 1)]
    rules = [f'root ::= "{{\\"windows\\": [" {in_turn(names)} "]}}"']
    for name, tokens in zip(names, windows, strict=True):
        words = dict.fromkeys(_WORD.findall("".join(_shown(tokens))))
        listed = [f"[{quoted(word)}, " for word in words if len(word) <= _LONGEST_WORD]
        rules += some_of(name, [f'{literal(text)} level "]"' for text in listed])
    return "\n".join([*rules, LEVEL])


def _per_call(windows_per_call: int) -> int:
    """One window a call, the default, stands for the scorer's own: alone it would save nothing."""
    return WORDS_PER_CALL if windows_per_call == 1 else windows_per_call


def _calls(job: JobSpec, n_windows: int) -> tuple[PromptCalls, ...]:
    per_call = min(n_windows, _per_call(job.score.windows_per_call))
    texts = per_call * job.corpus.n_ctx * TEXT
    version = "v4" if job.is_small_llm else "v2"
    # Only active words are listed.
    n = ceil(n_windows / per_call)
    return (PromptCalls("simulate_sparse", n, PHRASE + texts, texts // 2, version=version),)


SPEC = ScorerSpec(
    name=WordsSimulation.name,
    build=lambda d: WordsSimulation(d.model, windows_per_call=_per_call(d.config.windows_per_call)),
    headline="population",
    calls=_calls,
    predicts_activations=True,
    judges_windows=True,
)
