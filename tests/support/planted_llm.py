"""Scripted LLMs for the planted model: one that knows the rules, one that guesses."""

from __future__ import annotations

import json
import random
import re

from planted import BANK, MONTHS, rule
from scripted_logprobs import with_logprobs

from autointerp.llm import ChatReply, ChatRequest, Handler

_ROW = re.compile(r"^\d+: (.*)$", re.MULTILINE)


def tokens_of(request: ChatRequest) -> list[str]:
    """The window's tokens, read from a simulation prompt."""
    rows = _ROW.findall(request.messages[-1].content)
    return [token for row in rows for token in json.loads(f"[{row}]")]


def _is_simulation(request: ChatRequest) -> bool:
    return "Neuron:" in request.messages[-1].content


def _named_rule(request: ChatRequest) -> str:
    active = re.findall(r"^Active: (.*)$", request.messages[-1].content, re.MULTILINE)
    words = {w.strip() for line in active for w in re.findall(r'"([^"]*)" (?:10|\d)', line)}
    if words & set(MONTHS) and len(words) <= 5:
        return "rule 0"
    return "rule 1" if words == {BANK} else "rule 2"


def _rows(levels: list[int]) -> str:
    return json.dumps({"rows": [levels[i : i + 8] for i in range(0, len(levels), 8)]})


def oracle(*, logprobs: bool) -> Handler:
    """Names the rule, and simulates it exactly."""

    def handler(request: ChatRequest) -> str | ChatReply:
        if not _is_simulation(request):
            return json.dumps({"explanation": _named_rule(request)})
        number = int(re.findall(r"Neuron: rule (\d)", request.messages[-1].content)[0])
        levels = [round(10 * value) for value in rule(number, tokens_of(request))]
        text = _rows(levels)
        if not logprobs:
            return text
        return with_logprobs(text, [(str(level), {str(level): 0.9, "x": 0.1}) for level in levels])

    return handler


def noise(seed: int) -> Handler:
    """Says something, and simulates at random, the same for the same request."""

    def handler(request: ChatRequest) -> str:
        if not _is_simulation(request):
            return '{"explanation": "something or other"}'
        rng = random.Random(f"{seed}{request.messages[-1].content}")
        return _rows([rng.choice((0, 0, 0, 5, 10)) for _ in tokens_of(request)])

    return handler


def find_active_word(request: ChatRequest) -> str:
    """Finds the word that is active everywhere; simulates the word that it is told."""
    said = request.messages[-1].content
    patterns = re.findall(r"^Pattern (\d+): .*?(\w+)$", said, re.MULTILINE)
    if patterns:
        return _places(said, [(word, int(number)) for number, word in patterns])
    if "Neuron:" not in said:
        active = re.findall(r'(?:^Active:|->) "(.*?)" ', said, re.MULTILINE)
        text = f"the word {active[0].strip()}"
        sense = {"description": text, "level": 10, "kind": "token"}
        return json.dumps({"senses": [sense]} if '"senses"' in said else {"explanation": text})
    word = " " + re.findall(r"Neuron: .*?(\w+)$", said, re.MULTILINE)[0]
    levels = [10 * (token == word) for token in tokens_of(request)]
    return json.dumps({"rows": [levels[i : i + 8] for i in range(0, len(levels), 8)]})


def _places(said: str, patterns: list[tuple[str, int]]) -> str:
    """Where the words of patterns stand, of the best fit."""
    texts = [json.loads(line) for line in re.findall(r'^\d+: (".*")$', said, re.MULTILINE)]
    found = [[[w, n, 10] for w, n in patterns if re.search(rf"\b{w}\b", text)] for text in texts]
    return json.dumps({"windows": found})
