"""Simulation with many windows a call at the least cost: plain texts, and only the active words.

Texts are shown as they are and not token by token, and a reply names words and not places. What
that loses is which token of a word is meant where no part of it is named: all of them get its
level, which ranks labels better than the first or the last alone.
There are no expected values. Prompt v2 asks instruction-following models, v4 shows few-shot turns
to small ones.

A word stands for every token that holds a part of it. It is looked for as a whole word first and
as a part of words only where it is none, which is also how it is found in writing without
spaces. Listed once it means every place where it stands; listed as often as it stands, each place
in the order of the text; listed any other number of times nothing says which place is meant, and
the window cannot be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import ceil

from typing_extensions import override

from autointerp.core.characters import character_runs, join_tokens
from autointerp.core.config import JobSpec
from autointerp.core.records import MAX_LEVEL
from autointerp.core.text import quoted
from autointerp.core.variants import PHRASE, TEXT, PromptCalls
from autointerp.llm import ChatModel, ChatReply, ChatRequest, Features, JsonSchema
from autointerp.llm.answers import CUT_OFF, NoAnswerError, answer_of
from autointerp.llm.json_in_text import strict_json
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
from autointerp.scorers.simulation.level_forms import LevelsForm, Windows
from autointerp.scorers.simulation.levels_reply import LevelsReply, whole_number
from autointerp.templates import load_template

WORDS_PER_CALL = 16
"""Windows a call by default, which costs a third of what one at a time does."""

_WORD = re.compile(r"\w+|[^\w\s]+")
_LONGEST_WORD = 40
_OPENING = re.compile(r'"windows"\s*:\s*\[')
_BLANK = re.compile(r"\s*")
_DECODER = json.JSONDecoder(strict=False)

Span = tuple[int, int]
"""From the first character to the one behind the last."""


class WordsSimulation(FormSimulation):
    """Predicts activations of held-out windows from lists of the active words."""

    name = "simulation_words"

    def __init__(self, model: ChatModel, *, windows_per_call: int = WORDS_PER_CALL) -> None:
        template = load_template("simulate_sparse", "v4" if model.features.small else "v2")
        super().__init__(model, _Words(template), windows_per_call)


class _Words(LevelsForm):
    @override
    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        texts = [f"{i}: {quoted(join_tokens(tokens))}" for i, tokens in enumerate(windows, 1)]
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
        read = read_words(reply, [_shown(tokens) for tokens in windows], top=self.top)
        return [
            levels if isinstance(levels, str) else LevelsReply(_of_tokens(levels, tokens), None)
            for levels, tokens in zip(read, windows, strict=True)
        ]


def _of_tokens(levels: Sequence[float], tokens: Sequence[str]) -> tuple[float, ...]:
    runs = character_runs(tokens)
    return tuple(level for level, run in zip(levels, runs, strict=True) for _ in run)


def _shown(tokens: Sequence[str]) -> tuple[str, ...]:
    """The tokens as they are sent, so that words are looked for in what was shown.

    Those that share a character are one.
    """
    runs = character_runs(tokens)
    return tuple(json.loads(quoted(join_tokens(tokens[r.start : r.stop]))) for r in runs)


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


def read_words(
    reply: ChatReply, windows: Sequence[Sequence[str]], *, top: int
) -> list[tuple[float, ...] | str]:
    """For each window a level 0..top per token, or why it cannot be read.

    Read from ``{"windows": [[["word", level], ...], ...]}``. Lists belong to windows by their
    place, so another number of lists fails every window; of a reply that breaks off, the windows
    before the break are read.

    The tokens are those that were shown, in the order of the question.
    """
    try:
        lists, broken = _lists(strict_json(answer_of(reply)))
    except NoAnswerError as error:
        return [str(error)] * len(windows)
    if broken is not None and reply.finish_reason == "length":
        broken = CUT_OFF
    n = len(windows)
    if len(lists) > n or (broken is None and len(lists) < n):
        return [f"asked for {n} windows, found {len(lists)}"] * n
    outcomes: list[tuple[float, ...] | str] = []
    for value, tokens in zip(lists, windows, strict=False):
        try:
            outcomes.append(_levels(value, tokens, top))
        except NoAnswerError as error:
            outcomes.append(str(error))
    return outcomes + [broken or ""] * (n - len(lists))


def _lists(text: str) -> tuple[list[object], str | None]:
    """What stands in the last list under "windows", and where it does not end, why."""
    openings = list(_OPENING.finditer(text))
    if not openings:
        return [], f'the reply is not JSON with a list under "windows": {text.strip()[:40]!r}'
    result: list[object] = []
    place = _behind_blank(text, openings[-1].end())
    if text.startswith("]", place):
        return result, None
    while True:
        try:
            value, place = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            return result, f"window {len(result) + 1} is not JSON: {error}"
        result.append(value)
        place = _behind_blank(text, place)
        if text.startswith("]", place):
            return result, None
        if not text.startswith(",", place):
            return result, f"the list ends behind window {len(result)}: {text[place:][:40]!r}"
        place = _behind_blank(text, place + 1)


def _behind_blank(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    return match.end() if match else place


def _levels(value: object, tokens: Sequence[str], top: int) -> tuple[float, ...]:
    text, cores = "".join(tokens), _cores(tokens)
    levels = [0] * len(tokens)
    for word, message in _listed(value, top).items():
        places = _places(word, text, cores)
        if not places:
            raise NoAnswerError(f"{word!r:.40} does not stand in the text")
        if len(message) not in {1, len(places)}:
            msg = f"{word!r:.40} stands {len(places)} times and is listed {len(message)} times"
            raise NoAnswerError(msg)
        for i, place in enumerate(places):
            for token in place:
                levels[token] = max(levels[token], message[i % len(message)])
    return tuple(map(float, levels))


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


def _places(word: str, text: str, cores: Sequence[Span]) -> list[list[int]]:
    """The tokens of each place where the word stands, none where it has no token."""
    if not word:
        return []
    before = r"(?<!\w)" if re.match(r"\w", word) else ""
    behind = r"(?!\w)" if re.match(r"\w", word[-1]) else ""
    for pattern in (before + re.escape(word) + behind, re.escape(word)):
        spans = [match.span() for match in re.finditer(pattern, text)]
        result = [_touched(span, cores) for span in spans]
        if any(result):
            return [tokens for tokens in result if tokens]
    return []


def _touched(span: Span, cores: Sequence[Span]) -> list[int]:
    return [i for i, (start, end) in enumerate(cores) if start < span[1] and span[0] < end]


def _cores(tokens: Sequence[str]) -> list[Span]:
    """Where each token stands without the white space around it, which belongs to no word."""
    cores, place = [], 0
    for token in tokens:
        left = len(token) - len(token.lstrip()) if token.strip() else 0
        cores.append((place + left, place + left + len(token.strip() or token)))
        place += len(token)
    return cores


SPEC = ScorerSpec(
    name=WordsSimulation.name,
    build=lambda d: WordsSimulation(d.model, windows_per_call=_per_call(d.config.windows_per_call)),
    headline="population",
    calls=_calls,
    predicts_activations=True,
    judges_windows=True,
)
