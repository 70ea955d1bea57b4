"""Simulation with many windows a call at the least cost: plain texts, and only the active words.

Texts are shown as they are and not token by token, and a reply names words and not places. What
that loses is which token of a word is meant where no part of it is named: all of them get its
level, which ranks labels better than the first or the last alone.
There are no expected values. Prompt v5 asks instruction-following models, with bars where words
are split, whose parts can be named; v4 shows few-shot turns to small ones, v2 is v5 without bars.
How words are found is said in `listed_words`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil

from typing_extensions import override

from autointerp.core.config import JobSpec
from autointerp.core.records import MAX_LEVEL
from autointerp.core.text import quoted
from autointerp.core.variants import PHRASE, TEXT, PromptCalls
from autointerp.llm import ChatModel, ChatReply, ChatRequest, Features, JsonSchema
from autointerp.llm.answers import NoAnswerError
from autointerp.llm.reply_formats import (
    LEVEL,
    array_schema,
    chat_request,
    in_turn,
    literal,
    object_schema,
    some_of,
)
from autointerp.scorers.scorer_spec import ScorerSpec, many_windows
from autointerp.scorers.simulation.dense_simulation import FormSimulation
from autointerp.scorers.simulation.level_forms import LevelsForm, Windows
from autointerp.scorers.simulation.levels_reply import LevelsReply, whole_number
from autointerp.scorers.simulation.listed_words import ShownText, read_windows
from autointerp.templates import load_template

WORDS_PER_CALL = 16
"""Windows a call by default, which costs a third of what one at a time does."""

_WORD = re.compile(r"\w+|[^\w\s]+")
_LONGEST_WORD = 40
_WITH_BARS = "v5"


class WordsSimulation(FormSimulation):
    """Predicts activations of held-out windows from lists of the active words."""

    name = "simulation_words"

    def __init__(
        self, model: ChatModel, *, windows_per_call: int = WORDS_PER_CALL, version: str = ""
    ) -> None:
        template = load_template("simulate_sparse", version or _version(model.features.small))
        super().__init__(model, _Words(template), windows_per_call)


def _version(small: bool) -> str:  # noqa: FBT001
    return "v4" if small else _WITH_BARS


class _Words(LevelsForm):
    def _shown(self, tokens: Sequence[str]) -> ShownText:
        return ShownText.of(tokens, with_bars=self.template.ref.version == _WITH_BARS)

    @override
    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        texts = [f"{i}: {self._shown(tokens).line}" for i, tokens in enumerate(windows, 1)]
        turns = self.template.render(explanation=explanation, texts="\n".join(texts))
        return chat_request(
            features,
            turns,
            # Room for two words in three, each of six tokens with its level and punctuation.
            max_tokens=40 + sum(4 + 4 * len(tokens) for tokens in windows),
            schema=_schema(windows),
            grammar=_grammar(windows) if features.grammar else None,
        )

    @override
    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        read = read_words(reply, list(map(self._shown, windows)), top=self.top)
        return [levels if isinstance(levels, str) else LevelsReply(levels, None) for levels in read]


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
        words = dict.fromkeys(_WORD.findall(ShownText.of(tokens).text))
        listed = [f"[{quoted(word)}, " for word in words if len(word) <= _LONGEST_WORD]
        rules += some_of(name, [f'{literal(text)} level "]"' for text in listed])
    return "\n".join([*rules, LEVEL])


def _calls(job: JobSpec, n_windows: int) -> tuple[PromptCalls, ...]:
    per_call = min(n_windows, many_windows(job.score.windows_per_call, WORDS_PER_CALL))
    texts = per_call * job.corpus.n_ctx * TEXT
    version = _version(job.is_small_llm)
    # Only active words are listed.
    n = ceil(n_windows / per_call)
    return (PromptCalls("simulate_sparse", n, PHRASE + texts, texts // 2, version=version),)


def read_words(
    reply: ChatReply, texts: Sequence[ShownText], *, top: int
) -> list[tuple[float, ...] | str]:
    """For each text a level 0..top per token of its window, or why it cannot be read.

    Read from ``{"windows": [[["word", level], ...], ...]}``, see `read_windows`.
    """
    return read_windows(reply, texts, lambda value, text: _levels(value, text, top))


def _levels(value: object, text: ShownText, top: int) -> tuple[float, ...]:
    levels = [0.0] * len(text.tokens)
    for word, listed in _listed(value, top).items():
        places = text.places(word, len(listed))
        for i, place in enumerate(places):
            for token in place:
                levels[token] = max(levels[token], listed[i % len(listed)])
    return text.spread(levels)


def _listed(value: object, top: int) -> dict[str, list[int]]:
    """The levels of each word, in the order of the reply."""
    if not isinstance(value, list):
        raise NoAnswerError(f"asked for a list of words, found {value!r:.40}")
    listed: dict[str, list[int]] = {}
    for pair in value:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise NoAnswerError(f"asked for pairs of word and level, found {pair!r:.40}")
        word = pair[0].strip() or pair[0]
        listed.setdefault(word, []).append(whole_number(pair[1], top, "level"))
    return listed


SPEC = ScorerSpec(
    name=WordsSimulation.name,
    build=lambda d: WordsSimulation(
        d.model, windows_per_call=many_windows(d.config.windows_per_call, WORDS_PER_CALL)
    ),
    headline="population",
    calls=_calls,
    predicts_activations=True,
    judges_windows=True,
)
