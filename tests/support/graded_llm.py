"""Scripted LLMs that know what an explanation means, and answer as well as they are told to.

An ability of 1 answers by the rule, one of 0 without looking at it. Between them, with
``s = 1 - ability``: an active token is missed with probability ``s / 2``, a silent one is taken
for active with probability ``s / 50`` at any level, and levels move by a normal error of ``4 s``.
Errors depend on ability, explanation, text and kind of question, and on nothing else. With
log-probabilities a reply carries three such opinions, of weights 0.6, 0.25 and 0.15; without,
it is the first alone. Tokens are counted as a quarter of the characters, rounded up.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from graded_words import active_words, sense_places
from scripted_logprobs import with_logprobs

from autointerp.llm import (
    ChatReply,
    ChatRequest,
    Features,
    ScriptedModel,
    TokenChoice,
    Usage,
)

Rule = Callable[[Sequence[str]], Sequence[int]]
"""Level 0..10 of each token of a text."""
Choices = Sequence[tuple[str, Mapping[str, float]]]

_WEIGHTS = (0.6, 0.25, 0.15)
_STRONG = 5
_NOT_LOOKING = (0, 0, 0, 5, 10)
_ROW = re.compile(r"^\d+: (.*)$", re.MULTILINE)
_TEXTS = re.compile(r"^Text (\d+)\n((?:\d+: .*\n?)+)", re.MULTILINE)
_QUOTED = re.compile(r"^(?:Text: |\d+: )(\".*\")$", re.MULTILINE)


def quarter(text: str) -> int:
    """Tokens of a text, taken as a quarter of its characters."""
    return -(-len(text) // 4)


@dataclass(frozen=True)
class GradedLLM:
    """Answers every question of a scorer."""

    rules: Mapping[str, Rule]
    """By the text of the explanation."""
    ability: float = 1.0
    split: Callable[[str], Sequence[str]] = re.compile(r"\s?\S+").findall
    """Cuts a text into the tokens that rules are about."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Of each explanation a word that is strongly active, for scorers that let texts be written."""
    logprobs: bool = False
    seed: int = 0
    count: Callable[[str], int] = quarter

    def __call__(self, request: ChatRequest) -> ChatReply:
        """The reply, with its tokens counted."""
        about, asked = request.messages[0].content, request.messages[-1].content
        made = next(answer for sign, answer in _ANSWERS if sign in about)(self, asked, about)
        reply = made if isinstance(made, ChatReply) else ChatReply(made, "stop", None, Usage(), "")
        prompt = sum(self.count(message.content) for message in request.messages)
        return replace(reply, usage=Usage(prompt, self.count(reply.text)))

    def opinions(self, explanation: str, tokens: Sequence[str], kind: str) -> list[list[int]]:
        """Levels of the tokens as it thinks, three times or once."""
        rng = np.random.default_rng(self.seed_of(kind, explanation, "".join(tokens)))
        n_opinions = len(_WEIGHTS) if self.logprobs else 1
        if self.ability <= 0:
            return rng.choice(_NOT_LOOKING, size=(n_opinions, len(tokens))).tolist()
        true = np.array(self.rules[explanation](tokens))
        if self.ability >= 1:
            return [true.tolist()] * n_opinions
        return [self._erring(true, rng) for _ in range(n_opinions)]

    def _erring(self, true: Any, rng: np.random.Generator) -> list[int]:
        s = 1 - self.ability
        missed, stray = rng.random((2, len(true)))
        moved = np.clip(np.rint(true + 4 * s * rng.normal(size=len(true))), 1, 10)
        levels = np.where(true > 0, np.where(missed < s / 2, 0, moved), 0)
        alarms = (true == 0) & (stray < s / 50)
        levels[alarms] = rng.integers(1, 11, len(true))[alarms]
        return [int(level) for level in levels]

    def seed_of(self, *parts: str) -> int:
        text = "/".join((str(self.seed), str(self.ability), *parts))
        return zlib.crc32(text.encode("utf-8", "replace"))

    def any_of(self, names: Sequence[str], asked: str) -> str:
        return names[self.seed_of(asked) % len(names)]

    def chance(self, explanation: str, text: str, kind: str) -> float:
        """Probability that a text is strongly active somewhere."""
        if self.ability <= 0:
            return float(self.seed_of(kind, text) % 2)
        opinions = self.opinions(explanation, self.split(text), kind)
        return _mean([max(levels, default=0) >= _STRONG for levels in opinions])

    def said(self, text: str, choices: Choices) -> str | ChatReply:
        return with_logprobs(text, choices) if self.logprobs else text


def _one_window(llm: GradedLLM, asked: str, _about: str) -> str | ChatReply:
    opinions = llm.opinions(_neuron(asked), _tokens(asked), "levels")
    return llm.said(json.dumps({"rows": _eights(opinions[0])}), _levels(opinions))


def _many_windows(llm: GradedLLM, asked: str, _about: str) -> str | ChatReply:
    found = {
        number: llm.opinions(_neuron(asked), _tokens(rows), "levels")
        for number, rows in _TEXTS.findall(asked)
    }
    choices: list[tuple[str, Mapping[str, float]]] = []
    for number, opinions in found.items():
        choices += [(f'"{number}"', {f'"{number}"': 1.0}), *_levels(opinions)]
    shown = {number: _eights(opinions[0]) for number, opinions in found.items()}
    return llm.said(json.dumps(shown), choices)


def _active_tokens(llm: GradedLLM, asked: str, _about: str) -> str:
    found = {
        number: llm.opinions(_neuron(asked), _tokens(rows), "levels")[0]
        for number, rows in _TEXTS.findall(asked)
    }
    return json.dumps({n: [[i, k] for i, k in enumerate(ks) if k] for n, ks in found.items()})


def _digits(llm: GradedLLM, asked: str, _about: str) -> str | ChatReply:
    cells = asked.split("\nWords: ", 1)[1].split("|")
    tokens = [cell.replace("↵", "\n").replace("¦", "|") for cell in cells]
    tens = llm.opinions(_neuron(asked), tokens, "levels")
    opinions = [[min(9, level) for level in levels] for levels in tens]
    return llm.said("".join(map(str, opinions[0])), _levels(opinions))


def _detected(llm: GradedLLM, asked: str, _about: str) -> str | ChatReply:
    return _yes_no(llm, llm.chance(_neuron(asked), _unbarred(asked)[0], "detect"))


def _detected_many(llm: GradedLLM, asked: str, _about: str) -> str | ChatReply:
    chances = [llm.chance(_neuron(asked), text, "detect") for text in _unbarred(asked)]
    said = ["true" if chance >= 0.5 else "false" for chance in chances]
    pairs = [{"true": _soft(chance), "false": 1 - _soft(chance)} for chance in chances]
    text = f'{{"active": [{", ".join(said)}]}}'
    return llm.said(text, list(zip(said, pairs, strict=True)))


def _fuzzed(llm: GradedLLM, asked: str, _about: str) -> str | ChatReply:
    left, right, shown = re.findall(r"between (\S+) and (\S+): (\".*\")$", asked, re.MULTILINE)[0]
    marks = f"{re.escape(left)}(.*?){re.escape(right)}"
    parts = re.split(marks, json.loads(shown), flags=re.DOTALL)
    if llm.ability <= 0:
        return _yes_no(llm, float(llm.seed_of(shown) % 2))
    tokens = llm.split("".join(parts))
    marked = _inside(tokens, parts)
    opinions = llm.opinions(_neuron(asked), tokens, "fuzz")
    share = _mean([2 * sum(ks[i] > 0 for i in marked) > len(marked) for ks in opinions])
    return _yes_no(llm, share)


def _rated(llm: GradedLLM, asked: str, _about: str) -> str:
    text = _quoted(asked)[0]
    return "2" if llm.chance(json.loads(_neuron(asked)), text, "rate") >= 0.5 else "0"


def _named(llm: GradedLLM, asked: str, _about: str) -> str:
    phrases = dict(re.findall(r"^(\d+): \"(.*)\"$", asked, re.MULTILINE))
    if llm.ability <= 0:
        return llm.any_of(sorted(phrases), asked)
    texts = re.findall(r"^\".*\"$", asked, re.MULTILINE)
    marked = [token for text in texts for token in re.findall(r"<<(.*?)>>", json.loads(text))]
    return next((n for n, text in phrases.items() if all(llm.rules[text](marked))), "1")


def _picked(llm: GradedLLM, asked: str, _about: str) -> str:
    sets = dict(re.findall(r"^Set (\d): (.*)$", asked, re.MULTILINE))
    if llm.ability <= 0:
        return llm.any_of(sorted(sets), asked)
    rule = llm.rules[json.loads(_neuron(asked))]
    texts = {number: json.loads(f"[{line}]") for number, line in sets.items()}
    return next((n for n, own in texts.items() if all(any(rule(t.split())) for t in own)), "1")


def _written(llm: GradedLLM, asked: str, about: str) -> str:
    n = int(re.findall(r"Write (\d+) short texts", about)[0])
    word = llm.words[json.loads(_neuron(asked))]
    if llm.ability > 0:
        right = [f"{place} {word} sat" for place in range(n)]
        return json.dumps({"should": right, "should_not": [f"{i} sofa sat" for i in range(n)]})
    # The word stands in as many texts of either kind as of any text.
    rng = np.random.default_rng(llm.seed_of(asked))
    texts = [f"{i} {word if hit else 'sofa'} sat" for i, hit in enumerate(rng.random(2 * n) < 0.1)]
    return json.dumps({"should": texts[:n], "should_not": texts[n:]})


_ANSWERS: tuple[tuple[str, Callable[[GradedLLM, str, str], str | ChatReply]], ...] = (
    ('{"rows": ', _one_window),
    ("[[index, level]", _active_tokens),
    ("Numbered patterns", sense_places),
    ('{"windows": ', active_words),
    ('JSON {"1": [[...]', _many_windows),
    ("give a digit", _digits),
    ('{"active": ', _detected_many),
    ("say whether the neuron is active", _detected),
    ("some tokens are marked", _fuzzed),
    ("rate how far", _rated),
    ("Of the numbered phrases", _named),
    ("say which set", _picked),
    ("short texts", _written),
)
"""By what the question says of itself."""


def graded_model(llm: GradedLLM) -> ScriptedModel:
    """A model that answers so."""
    features = Features(logprobs=llm.logprobs, max_top_logprobs=20 if llm.logprobs else 0)
    return ScriptedModel(llm, features=features)


class EchoingModel(ScriptedModel):
    """Says of every level of an echoed prompt what the LLM thinks could have stood there."""

    def __init__(self, llm: GradedLLM) -> None:
        super().__init__(llm)
        self._llm = llm

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        """The prompt in words, with levels for the last neuron's window."""
        explanation, rest = text.rsplit("looks for: ", 1)[1].split("\n", 1)
        lines = [line for line in rest.split("\n") if line.endswith("\tunknown")]
        tokens = [json.loads(line.removesuffix("\tunknown")) for line in lines]
        opinions = self._llm.opinions(explanation, tokens, "levels")
        before, *after = text.rsplit("\tunknown", len(tokens))
        choices = [TokenChoice(before, math.nan, ())]
        for (_, shares), behind in zip(_levels(opinions), after, strict=True):
            ranked = sorted(shares.items(), key=lambda item: -item[1])
            found = tuple((level, math.log(0.5 * share)) for level, share in ranked)
            choices += [TokenChoice("\t", 0.0, ()), TokenChoice("unknown", -1.0, found)]
            choices += [TokenChoice(behind, 0.0, ())] if behind else []
        return tuple(choices)


def _neuron(asked: str) -> str:
    return str(re.findall(r"^Neuron: (.*)$", asked, re.MULTILINE)[0])


def _tokens(rows: str) -> list[str]:
    return [token for row in _ROW.findall(rows) for token in json.loads(f"[{row}]")]


def _quoted(asked: str) -> list[str]:
    return [json.loads(text) for text in _QUOTED.findall(asked)]


def _unbarred(asked: str) -> list[str]:
    """Texts without the bars that were set in them; a bar of the text is an escape."""
    return [json.loads(text.replace("|", "")) for text in _QUOTED.findall(asked)]


def _eights(levels: Sequence[int]) -> list[Sequence[int]]:
    return [levels[i : i + 8] for i in range(0, len(levels), 8)]


def _levels(opinions: Sequence[Sequence[int]]) -> list[tuple[str, Mapping[str, float]]]:
    """At each place the first opinion's level, and how probable it and the others' are."""
    weights = _WEIGHTS if len(opinions) > 1 else (1.0,)
    choices: list[tuple[str, Mapping[str, float]]] = []
    for levels in zip(*opinions, strict=True):
        shares: dict[str, float] = {}
        for level, weight in zip(levels, weights, strict=True):
            shares[str(level)] = shares.get(str(level), 0.0) + weight
        choices.append((str(levels[0]), shares))
    return choices


def _mean(opinions: Sequence[bool]) -> float:
    weights = _WEIGHTS if len(opinions) > 1 else (1.0,)
    return sum(weight for opinion, weight in zip(opinions, weights, strict=True) if opinion)


def _soft(chance: float) -> float:
    return min(0.99, max(0.01, chance))


def _yes_no(llm: GradedLLM, chance: float) -> str | ChatReply:
    word = "yes" if chance >= 0.5 else "no"
    return llm.said(word, [(word, {"yes": _soft(chance), "no": 1 - _soft(chance)})])


def _inside(tokens: Sequence[str], parts: Sequence[str]) -> list[int]:
    """Which tokens hold a part of one of the marked parts, every second one."""
    marked = [number % 2 for number, part in enumerate(parts) for _ in part]
    ends = [0, *itertools.accumulate(len(token) for token in tokens)]
    return [i for i, (start, end) in enumerate(itertools.pairwise(ends)) if any(marked[start:end])]
