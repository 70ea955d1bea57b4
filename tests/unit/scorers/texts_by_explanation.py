"""What the tests of scorers that run texts share: a neuron for cats, and an LLM that writes."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from factories import make_sets
from plain_probe import PlainProbe

from autointerp.core.explanations import Explanation
from autointerp.llm import ChatRequest
from autointerp.scorers import ScoringSet

CATS = Explanation("cats", "token_activation", "m", None, 0.0, 0)
DOGS = replace(CATS, text="dogs")
PROBE = PlainProbe(lambda word: 3.0 if word == "cats" else 0.1 * len(word))
WINDOWS = replace(
    ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95), probe=PROBE
)


def named(request: ChatRequest) -> str:
    """The explanation in a prompt."""
    text = request.messages[-1].content
    return str(json.loads(re.findall(r'^Neuron: (".*")$', text, re.MULTILINE)[0]))


def writer(request: ChatRequest) -> str:
    """An LLM that writes the explanation's word, or leaves it out, as many times as asked."""
    n = int(re.findall(r"Write (\d+) short texts", request.messages[0].content)[0])
    should = [f"{i} {named(request)} sat" for i in range(n)]
    return json.dumps({"should": should, "should_not": [f"{i} sofa sat" for i in range(n)]})
