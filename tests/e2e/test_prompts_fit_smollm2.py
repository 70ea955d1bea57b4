"""What the embedded LLM is asked fits its context, counted by the tokenizer in its own file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hostile import POOL, hostile_inputs, hostile_windows, said

from autointerp.core.config import ExplainConfig, ScoreConfig
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.core.variants import Need
from autointerp.explainers import EXPLAINERS, ExplainerDependencies, ExplainerSpec
from autointerp.llm import (
    ChatRequest,
    EmbeddedOptions,
    Features,
    ScriptedModel,
    TokenizerCounter,
    prompt_tokens,
)
from autointerp.scorers import SCORERS, ScorerDependencies, ScorerSpec, scorers_named
from autointerp.subjects import gguf_tokenizer
from autointerp.subjects.tokenizer import HfTokenizer

JUDGING = [s for s in SCORERS if Need.LLM in s.needs and Need.ECHO not in s.needs]
ASKING = [spec for spec in EXPLAINERS if Need.LLM in spec.needs]
N_CTX = EmbeddedOptions().n_ctx
EMBEDDED = Features(grammar=True, small=True, n_ctx=N_CTX)
_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


@pytest.fixture(scope="module")
def tokenizer(smollm2_cache: Path) -> HfTokenizer:
    return gguf_tokenizer(SMOLLM2_GGUF.locate(), smollm2_cache)


def as_sent(request: ChatRequest) -> str:
    """The prompt as SmolLM2's chat template makes it."""
    turns = [(m.role, m.content) for m in request.messages]
    if turns[0][0] != "system":
        turns.insert(0, ("system", _SYSTEM))
    whole = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns)
    return f"{whole}<|im_start|>assistant\n"


def longest(model: ScriptedModel, tokenizer: HfTokenizer) -> int:
    """Most tokens of a request with its reply."""
    sizes = (len(tokenizer.encode(as_sent(r))) + r.max_tokens for r in model.requests)
    return max(sizes, default=0)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("spec", ASKING, ids=lambda spec: spec.name)
def test_every_explainer_shows_as_much_as_fits(
    spec: ExplainerSpec, small: bool, tokenizer: HfTokenizer
) -> None:
    features = Features(grammar=True, small=small, n_ctx=N_CTX)
    model = ScriptedModel(_answer, features=features)
    counter = TokenizerCounter(lambda: tokenizer)
    config = ExplainConfig(n_samples=2, n_exemplars=12)
    explainer = spec.build(ExplainerDependencies(model, config, 0, counter))
    asyncio.run(explainer.explain(hostile_inputs(12)))
    assert 0 < longest(model, tokenizer) <= N_CTX


def _answer(request: ChatRequest) -> str:
    """Texts to try where they are asked for; else what cannot be used, so that it asks again."""
    if request.schema is not None and request.schema.name == "texts":
        return '{"active": ["a river"], "silent": []}'
    return '{"explanation": "rivers"}' if request.temperature == 0 else "\x07é " * 90


@pytest.mark.parametrize("per_call", [1, 5])
@pytest.mark.parametrize("spec", JUDGING, ids=lambda spec: spec.name)
def test_every_scorer_asks_what_fits_and_says_what_does_not(
    spec: ScorerSpec, per_call: int, tokenizer: HfTokenizer
) -> None:
    model = ScriptedModel(lambda _: "0", features=EMBEDDED)
    config = ScoreConfig(windows_per_call=per_call, prompt="v3" if per_call > 1 else None)
    counter = TokenizerCounter(lambda: tokenizer)
    dependencies = ScorerDependencies(model, config, POOL, counter)
    result = asyncio.run(spec.build(dependencies).score(said("rivers"), hostile_windows()))
    assert 0 < longest(model, tokenizer) <= N_CTX
    assert result.n_asked == result.n_judged + result.n_failed


def test_the_count_is_never_below_what_the_chat_template_makes(tokenizer: HfTokenizer) -> None:
    model = ScriptedModel(lambda _: "0", features=EMBEDDED)
    counter = TokenizerCounter(lambda: tokenizer)
    for spec in scorers_named(["simulation", "detection", "fuzzing", "responsiveness"]):
        dependencies = ScorerDependencies(model, ScoreConfig(), POOL, counter)
        asyncio.run(spec.build(dependencies).score(said("rivers"), hostile_windows()))
    assert len(model.requests) > 40
    for request in model.requests:
        counted = prompt_tokens([(m.role, m.content) for m in request.messages], counter)
        assert 0 <= counted - len(tokenizer.encode(as_sent(request))) <= 64 + 8 * 8


def test_the_tokenizer_is_read_out_of_the_file_once(tmp_path: Path, tokenizer: HfTokenizer) -> None:
    read = gguf_tokenizer(SMOLLM2_GGUF.locate(), tmp_path)
    [folder] = (tmp_path / "tokenizers").iterdir()
    made = (folder / "tokenizer.json").stat().st_mtime_ns
    again = gguf_tokenizer(SMOLLM2_GGUF.locate(), tmp_path)
    assert (folder / "tokenizer.json").stat().st_mtime_ns == made
    text = "é\x00 <|im_end|> 10,000 \ud83d rivers"
    assert read.encode(text) == again.encode(text) == tokenizer.encode(text)
