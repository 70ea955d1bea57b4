"""No scorer asks what does not fit, and every window that fits is asked about."""

from __future__ import annotations

import asyncio

import pytest
from hostile import POOL, hostile_windows, said
from judged_text import RIGHT, judge, knows, make_windows

from autointerp.core.config import ScoreConfig
from autointerp.core.scores import ScorerResult
from autointerp.core.variants import Need
from autointerp.llm import ChatRequest, Features, FittingModel, ScriptedModel, TokenChoice
from autointerp.scorers import SCORERS, ScorerDependencies, scorers_named
from autointerp.scorers.detection import Detection
from autointerp.scorers.simulation.dense_simulation import Simulation
from autointerp.scorers.simulation.sparse_simulation import SparseSimulation

ASKING = sorted(spec.name for spec in SCORERS if Need.LLM in spec.needs)
WITHOUT_WINDOWS = {spec.name for spec in SCORERS if Need.SUBJECT in spec.needs}


class Echoing(ScriptedModel):
    """A scripted model that also takes texts to echo, and knows nothing of them."""

    def __init__(self, features: Features) -> None:
        super().__init__(lambda _: "0", features=features)
        self.texts: list[str] = []

    async def prompt_logprobs(self, text: str) -> tuple[TokenChoice, ...]:
        self.texts.append(text)
        return ()


def n_tokens(*texts: str) -> int:
    return 64 + sum(8 - (-len(text.encode()) // 3) for text in texts)


def sizes(model: Echoing) -> list[int]:
    """Tokens of everything that was sent, replies included."""
    chats = [n_tokens(*(m.content for m in r.messages)) + r.max_tokens for r in model.requests]
    return chats + [n_tokens(text) + 1 for text in model.texts]


def scored(name: str, model: Echoing, *, per_call: int = 1, text: str = "rivers") -> ScorerResult:
    version = "v3" if per_call > 1 else None
    config = ScoreConfig(windows_per_call=per_call, prompt=version)
    [spec] = scorers_named([name])
    scorer = spec.build(ScorerDependencies(model, config, POOL))
    return asyncio.run(scorer.score(said(text), hostile_windows()))


@pytest.mark.parametrize("per_call", [1, 5])
@pytest.mark.parametrize("n_ctx", [200, 900, 2_048])
@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("name", ASKING)
def test_whatever_is_sent_fits(name: str, small: bool, n_ctx: int, per_call: int) -> None:
    model = Echoing(Features(n_ctx=n_ctx, small=small))
    result = scored(name, model, per_call=per_call)
    assert max(sizes(model), default=0) <= n_ctx
    assert result.n_asked == result.n_judged + result.n_failed > 0
    too_long = [t for t in result.trials if f"the model takes {n_ctx:,}" in (t.failure or "")]
    assert too_long or name in WITHOUT_WINDOWS
    assert sizes(model) or len(too_long) == result.n_asked


@pytest.mark.parametrize("name", ASKING)
def test_a_model_of_unknown_context_is_asked_everything(name: str) -> None:
    model = Echoing(Features())
    result = scored(name, model)
    assert not [t for t in result.trials if "the model takes" in (t.failure or "")]
    assert (max(sizes(model)) > 3_000) == (name not in WITHOUT_WINDOWS)


@pytest.mark.parametrize("name", [name for name in ASKING if name != "contrast"])
def test_an_explanation_that_is_too_long_is_said_and_not_sent(name: str) -> None:
    model = Echoing(Features(n_ctx=2_048))
    result = scored(name, model, text="rivers " * 2_000)
    assert not sizes(model)
    assert all(t.failure and t.failure.startswith("the text has ") for t in result.trials)


@pytest.mark.parametrize("make", [Simulation, SparseSimulation, Detection])
def test_windows_that_do_not_fit_together_are_asked_about_in_parts(make: type) -> None:
    whole = ScriptedModel(knows)
    together = judge(make(FittingModel(whole), windows_per_call=20), RIGHT, make_windows())
    longest = max(size_of(request) for request in whole.requests)
    cut = ScriptedModel(knows, features=Features(n_ctx=longest * 2 // 3))
    in_parts = judge(make(FittingModel(cut), windows_per_call=20), RIGHT, make_windows())
    assert len(whole.requests) == 2 < len(cut.requests) < 40
    assert in_parts.n_failed == together.n_failed == 0
    assert in_parts.scores == together.scores


def size_of(request: ChatRequest) -> int:
    return n_tokens(*(m.content for m in request.messages)) + request.max_tokens
