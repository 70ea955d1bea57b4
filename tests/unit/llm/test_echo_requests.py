"""Log-probabilities of texts are cached, recorded and limited as replies are."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from pathlib import Path

import pytest
from endpoint_client import Clockwork, client
from factories import make_job
from fake_endpoint import FakeEndpoint, json_body

from autointerp.core.config import Budget
from autointerp.core.errors import BudgetExhaustedError
from autointerp.llm import (
    BudgetedModel,
    CachedModel,
    CostLog,
    EchoUnsupportedError,
    FittingModel,
    Ledger,
    Price,
    ScriptedModel,
    TokenChoice,
    as_echo,
    ledger_of,
)
from autointerp.llm.chat_model import EchoRequest
from autointerp.llm.wrapped_model import ModelPool
from autointerp.settings import Settings
from autointerp.wiring.llms import open_llm

PRICE = Price(Decimal(1), Decimal(1), Decimal(2))


def echoed(prompt: str) -> object:
    """An answer with three tokens: two of the prompt and one that was generated."""
    logprobs = {
        "tokens": [prompt[:1], prompt[1:], " more"],
        "token_logprobs": [None, -2.0, -0.1],
        "top_logprobs": [None, {"c": -0.5, "d": -1 / 3}, {" more": -0.1}],
    }
    usage = {"prompt_tokens": 2, "completion_tokens": 1}
    return {"choices": [{"text": f"{prompt} more", "logprobs": logprobs}], "usage": usage}


class Job:
    """What one process has: a client behind budget, cache and cost log."""

    def __init__(self, endpoint: FakeEndpoint, folder: Path, *, tokens: int | None = None) -> None:
        self.cost_log = CostLog(folder / "spent.jsonl")
        self.inner = client(endpoint.base_url, Clockwork())
        budget = Budget(tokens=tokens)
        self.paid = BudgetedModel(self.inner, budget=budget, price=PRICE, cost_log=self.cost_log)
        self.model = CachedModel(self.paid, folder / "replies", cost_log=self.cost_log)

    def echo(self, *texts: str) -> list[tuple[TokenChoice, ...]]:
        async def each() -> list[tuple[TokenChoice, ...]]:
            try:
                calls = (self.model.prompt_logprobs(text) for text in texts)
                return list(await asyncio.gather(*calls))
            finally:
                await self.model.close()

        return asyncio.run(each())


def test_a_second_run_pays_for_no_echo_and_reads_the_same(
    endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    endpoint.completions.append(json_body(echoed("ab")))
    [first], [second] = (Job(endpoint, tmp_path).echo("ab") for _ in range(2))
    assert repr(first) == repr(second)
    assert math.isnan(second[0].logprob)
    assert second[1] == TokenChoice("b", -2.0, (("d", -1 / 3), ("c", -0.5), ("b", -2.0)))
    assert len(endpoint.prompts) == 1


def test_an_echo_is_booked_as_its_tokens_and_the_one_thrown_away(
    endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    endpoint.completions.append(json_body(echoed("ab")))
    job = Job(endpoint, tmp_path)
    job.echo("ab", "ab")
    spent = CostLog(tmp_path / "spent.jsonl").ledger.total
    assert (spent.requests, spent.prompt_tokens, spent.completion_tokens) == (1, 2, 1)
    assert spent.usd == PRICE.cost(job.inner.total_usage)
    assert job.paid.ledger.total.cached_replies == 1
    assert job.model.total_usage.cached_replies == 1


def test_echoes_and_answers_share_one_budget(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.completions.append(json_body(echoed("ab")))
    job = Job(endpoint, tmp_path, tokens=120)
    with pytest.raises(BudgetExhaustedError, match="of 120 tokens to spend, 3 tokens are spent"):
        job.echo("ab", "a long text " * 4)
    assert len(endpoint.prompts) == 1


def test_an_endpoint_without_echo_costs_nothing_and_nothing_is_kept(
    endpoint: FakeEndpoint, tmp_path: Path
) -> None:
    job = Job(endpoint, tmp_path)
    with pytest.raises(EchoUnsupportedError, match="gives no log-probabilities of a prompt"):
        job.echo("ab")
    assert CostLog(tmp_path / "spent.jsonl").ledger.total.tokens == 0
    assert not (tmp_path / "replies").exists()


def test_an_echo_and_a_question_of_the_same_words_are_kept_apart() -> None:
    echo = EchoRequest("ab")
    assert echo.key("m") not in {echo.as_chat.key("m"), EchoRequest("abc").key("m")}
    assert echo.key("m") == EchoRequest("ab").key("m")


def test_only_what_stands_around_a_client_that_echoes_echoes(tmp_path: Path) -> None:
    scripted = ScriptedModel(lambda _: "x")
    paid = BudgetedModel(scripted, budget=Budget(), price=None)
    around = [scripted, paid, CachedModel(paid, tmp_path), FittingModel(paid)]
    assert not any(as_echo(model) for model in (*around, ModelPool([scripted])))
    with pytest.raises(EchoUnsupportedError, match="scripted gives no log-probabilities"):
        asyncio.run(paid.prompt_logprobs("ab"))
    opened = open_llm(
        make_job(llm="http://127.0.0.1:1/v1", llm_model="m"), Settings(cache_dir=tmp_path)
    )
    assert opened is not None
    assert as_echo(opened) is opened
    assert ledger_of(opened) == Ledger({})
