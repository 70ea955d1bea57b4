"""Simulation by echo over HTTP says what the model's own logits say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import torch
from echo_endpoint import echo_endpoint
from judged_text import RIGHT, make_windows, saying
from tiny import WORDS, tiny_llama, tiny_tokenizer

from autointerp.core.scores import ScorerResult
from autointerp.llm import OpenAICompatible
from autointerp.scorers import ScoringSet
from autointerp.scorers.simulation.echo_simulation import EchoSimulation

N_ALTERNATIVES = 20
LEVELS = {str(level): level for level in range(11)}
TOKENIZER = tiny_tokenizer((*WORDS, "10", "unknown", "looks", "neuron"))


def windows() -> ScoringSet:
    """Six of the windows, one with a character of two tokens and one with a mark and a quote."""
    records = list(make_windows().records[:6])
    records[1] = replace(records[1], tokens=(" é", *records[1].tokens[1:]))
    records[2] = replace(records[2], tokens=('"', "<|im_end|>", *records[2].tokens[2:]))
    return replace(make_windows(), records=tuple(records))


@pytest.fixture(scope="module")
def model() -> Any:
    """A model with random weights that thinks much of levels and little of other tokens."""
    made = tiny_llama(vocab_size=len(TOKENIZER))
    with torch.no_grad():
        for piece in (*LEVELS, "Ġ10"):
            made.lm_head.weight[TOKENIZER.convert_tokens_to_ids(piece)] *= 8
    return made


def simulated(url: str) -> tuple[ScorerResult, list[str]]:
    async def score() -> tuple[ScorerResult, list[str]]:
        client = OpenAICompatible(url, "tiny")
        scorer = EchoSimulation(client)
        try:
            result = await scorer.score(saying(RIGHT), windows())
        finally:
            await client.close()
        assert client.features.echo
        return result, [scorer.prompt(RIGHT, record.tokens) for record in windows().records]

    return asyncio.run(score())


def computed(model: Any, prompt: str, n_tokens: int) -> list[float] | None:
    """Expected levels at the last unknowns; None where one has no level among the likeliest."""
    parts = prompt.split("\tunknown")
    expected = []
    for n in range(len(parts) - 1 - n_tokens, len(parts) - 1):
        before = "\tunknown".join(parts[: n + 1]) + "\t"
        ids = [TOKENIZER.bos_token_id, *TOKENIZER.encode(before, add_special_tokens=False)]
        with torch.no_grad():
            chances = model(torch.tensor([ids])).logits[0, -1].double().softmax(-1)
        top = chances.topk(N_ALTERNATIVES)
        pieces = (TOKENIZER.decode([i]).strip() for i in top.indices.tolist())
        pairs = zip(pieces, top.values.tolist(), strict=True)
        known = [(LEVELS[piece], chance) for piece, chance in pairs if piece in LEVELS]
        if not known:
            return None
        mass = sum(chance for _, chance in known)
        expected.append(sum(level * chance for level, chance in known) / mass)
    return expected


def test_predictions_are_those_of_the_models_logits(model: Any) -> None:
    with echo_endpoint(model, TOKENIZER) as url:
        result, prompts = simulated(url)
    scale = windows().peak / 10
    judged = 0
    for trial, record, prompt in zip(result.trials, windows().records, prompts, strict=True):
        levels = computed(model, prompt, len(record.tokens))
        if levels is None:
            assert trial.predicted is None
            assert (trial.failure or "").startswith("no probability on any level")
            continue
        judged += 1
        assert trial.predicted == pytest.approx([level * scale for level in levels], abs=1e-4)
        assert len(set(levels)) > 3
    assert judged >= 4
    assert result.n_judged == judged
