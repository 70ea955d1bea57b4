from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.cli.job_options import budget_of
from autointerp.core.config import Budget
from autointerp.core.errors import (
    BudgetExhaustedError,
    InputError,
    RequestFailedError,
    RequestRefusedError,
    StorageError,
    UpstreamError,
)
from autointerp.llm.budget import BudgetedModel, ledger_of, most_tokens
from autointerp.llm.cache import CachedModel
from autointerp.llm.chat_model import ChatReply, ChatRequest, Features, JsonSchema, Message, Usage
from autointerp.llm.cost_log import CostLog, Spent, charge_to
from autointerp.llm.prices import Price
from autointerp.llm.scripted import ScriptedModel

PRICE = Price(Decimal(1), Decimal("0.5"), Decimal(4))
HELLO = ChatRequest((Message("user", "hello"),), 20)
MOST = 5 + 16 + 64 + 20


def used(prompt: int, completion: int, cached: int = 0) -> ChatReply:
    return ChatReply("x", "stop", None, Usage(prompt, completion, cached), "m")


def budgeted(handler: Any, *, cost_log: CostLog | None = None, **limits: Any) -> BudgetedModel:
    model = ScriptedModel(handler)
    return BudgetedModel(model, budget=Budget(**limits), price=PRICE, cost_log=cost_log)


def ask(model: Any, *requests: ChatRequest) -> list[Any]:
    async def _ask() -> list[Any]:
        calls = (model.reply(request) for request in requests)
        return list(await asyncio.gather(*calls, return_exceptions=True))

    return asyncio.run(_ask())


class Slow(ScriptedModel):
    """Answers in an order of its own, so that calls overlap."""

    def __init__(self, handler: Any, delays: list[int]) -> None:
        super().__init__(handler)
        self.delays = delays

    async def reply(self, request: ChatRequest) -> ChatReply:
        reply = await super().reply(request)
        for _ in range(self.delays[len(self.requests) % len(self.delays)]):
            await asyncio.sleep(0)
        return reply


CALLS = st.tuples(
    st.text(max_size=40),
    st.integers(1, 60),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["said", "said", "said", "unsaid", "refused", "down", "cached"]),
)


@settings(max_examples=100, deadline=None)
@given(
    calls=st.lists(CALLS, max_size=25),
    limit=st.integers(1, 3000),
    delays=st.lists(st.integers(0, 5), min_size=1, max_size=5),
    in_dollars=st.booleans(),
)
def test_a_budget_is_never_exceeded_whatever_is_answered_in_whatever_order(
    calls: list[Any], limit: int, delays: list[int], in_dollars: bool
) -> None:
    billed = 0, Decimal(0)

    def handler(request: ChatRequest) -> ChatReply | Exception:
        nonlocal billed
        _, _, of_prompt, of_reply, kind = calls[request.seed or 0]
        most = most_tokens(request, Features())
        usage = Usage(
            max(1, round(of_prompt * most.prompt_tokens)), round(of_reply * request.max_tokens)
        )
        if kind == "refused":
            return RequestRefusedError("no")
        if kind == "cached":
            return replace(used(9, 9), from_cache=True)
        billed = (
            billed[0] + usage.prompt_tokens + usage.completion_tokens,
            billed[1] + PRICE.cost(usage),
        )
        if kind == "down":
            return UpstreamError("cut after it was answered", retryable=True)
        said = Usage() if kind == "unsaid" else usage
        return ChatReply("x", "stop", None, said, "m")

    budget = Budget(usd=limit / 1_000_000) if in_dollars else Budget(tokens=limit)
    model = BudgetedModel(Slow(handler, delays), budget=budget, price=PRICE)
    requests = [
        ChatRequest((Message("user", text),), most, seed=place)
        for place, (text, most, *_) in enumerate(calls)
    ]
    results = ask(model, *requests)
    total = model.ledger.total
    assert billed[0] <= total.tokens
    assert billed[1] <= (total.usd or 0)
    assert (total.usd or 0) <= Decimal(limit) / 1_000_000 if in_dollars else total.tokens <= limit
    assert len(results) == len(calls)


def test_a_call_is_booked_at_what_it_cost() -> None:
    model = budgeted(lambda _: used(10, 5, 4))
    ask(model, HELLO)
    # 6 * 1 + 4 * 0.5 + 5 * 4 dollars a million
    assert model.ledger.total == Spent(1, 0, 10, 4, 5, Decimal("0.000028"))


def test_what_does_not_fit_waits_for_what_is_on_its_way() -> None:
    inner = Slow(lambda _: used(5, 1), [3])
    model = BudgetedModel(inner, budget=Budget(tokens=MOST + 6), price=PRICE)
    assert all(isinstance(r, ChatReply) for r in ask(model, HELLO, replace(HELLO, seed=1)))
    assert model.ledger.total.tokens == 12


def test_the_last_call_says_what_was_spent_and_what_to_do() -> None:
    model = budgeted(lambda _: used(80, 20), tokens=200, usd=1)
    with charge_to("score"):
        [_, error] = ask(model, HELLO, replace(HELLO, seed=1))
    assert isinstance(error, BudgetExhaustedError)
    assert not isinstance(error, UpstreamError)
    assert str(error) == (
        "of $1 and 200 tokens to spend, $0.0002 and 100 tokens are spent, and the next call "
        "(score) could cost 105 tokens ($0.0002); what is finished is kept: raise --budget-usd "
        "or --budget-tokens and run again with --resume"
    )


def test_once_a_call_was_refused_for_want_of_money_none_is_sent() -> None:
    model = budgeted(lambda _: used(10, 10), tokens=MOST)
    larger = ChatRequest((Message("user", "hello"),), 21)
    assert isinstance(ask(model, larger)[0], BudgetExhaustedError)
    answers = ask(model, HELLO, larger)
    assert [str(answer) for answer in answers] == [str(answers[0])] * 2
    assert "0 tokens are spent" in str(answers[0])
    assert model.total_usage.requests == 0


def test_no_call_has_more_tokens_than_bytes_and_what_a_template_adds() -> None:
    schema = JsonSchema("s", '{"a": 1}')
    request = ChatRequest((Message("system", "é"), Message("user", "\ud800")), 7, schema=schema)
    assert most_tokens(request, Features()) == Usage(2 + 1 + 1 + 8 + 2 * 16 + 64, 7)
    assert most_tokens(request, Features(hidden_tokens=4096)).completion_tokens == 4103


@pytest.mark.parametrize(
    ("answer", "assumed"),
    [
        (ChatReply("x", "stop", None, Usage(), "m"), 1),
        (UpstreamError("cut", retryable=True), 1),
        (UpstreamError("wrong key", retryable=False), 0),
        (RequestRefusedError("no"), 0),
        (replace(used(9, 9), from_cache=True), 0),
    ],
)
def test_what_is_not_known_counts_as_the_most_it_can_cost(answer: Any, assumed: int) -> None:
    model = budgeted(lambda _: answer)
    ask(model, HELLO)
    total = model.ledger.total
    assert (total.assumed, total.requests, total.tokens) == (assumed, assumed, assumed * MOST)


def test_a_call_that_was_never_sent_costs_nothing() -> None:
    class Open(ScriptedModel):
        async def reply(self, request: ChatRequest) -> ChatReply:
            raise UpstreamError("the circuit is open", retryable=True)

    model = BudgetedModel(Open(lambda _: "x"), budget=Budget(tokens=200), price=PRICE)
    ask(model, *[HELLO] * 9)
    assert model.ledger.total == Spent()


def test_dollars_need_a_price_and_limits_are_above_zero() -> None:
    model = ScriptedModel(lambda _: "x", name="gpt-x")
    with pytest.raises(InputError, match=r"a budget of \$5 cannot be kept, because the price of g"):
        BudgetedModel(model, budget=Budget(usd=5), price=None)
    unpriced = BudgetedModel(model, budget=Budget(tokens=500), price=None)
    ask(unpriced, HELLO)
    assert unpriced.ledger.total.usd is None
    for wrong in ({"usd": 0}, {"tokens": -1}, {"usd": float("nan")}, {"usd": float("inf")}):
        typed = {"usd": None, "tokens": None, **wrong}
        with pytest.raises(InputError, match="above 0"):
            budget_of(**typed, prices=None, batch=False)


def test_what_is_spent_is_known_by_stage_and_unit(tmp_path: Path) -> None:
    cost_log = CostLog()
    inner = budgeted(lambda _: used(10, 5), cost_log=cost_log)
    model = CachedModel(inner, tmp_path, cost_log=cost_log)

    async def _unit(unit: str) -> None:
        with charge_to(unit=unit):
            with charge_to("explain"):
                await model.reply(replace(HELLO, seed=len(unit)))
            with charge_to("score"):
                await asyncio.gather(model.reply(HELLO), model.reply(HELLO))

    async def _both() -> None:
        await asyncio.gather(_unit("5:1"), _unit("5:10"))

    asyncio.run(_both())
    ledger = ledger_of(model)
    assert ledger is not None
    assert {k: v.requests for k, v in ledger.by_stage.items()} == {"explain": 2, "score": 1}
    assert {k: v.cached_replies for k, v in ledger.by_stage.items()} == {"explain": 0, "score": 3}
    assert sum(spent.tokens for spent in ledger.by_purpose.values()) == ledger.total.tokens == 45
    assert {purpose.unit for purpose in ledger.by_purpose} == {"5:1", "5:10"}
    assert next(iter(ledger.by_purpose)).stage == "explain"


def test_nothing_paid_before_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "run" / "spent.jsonl"
    for n in (1, 2, 3):
        cost_log = CostLog(path)
        model = budgeted(lambda _: used(10, 5), cost_log=cost_log, tokens=MOST + 30)
        with charge_to("score", "5:1"):
            ask(model, HELLO)
        assert CostLog(path).ledger == model.ledger
        assert model.ledger.total.requests == n
    [error] = ask(budgeted(lambda _: "x", cost_log=CostLog(path), tokens=MOST + 30), HELLO)
    assert isinstance(error, BudgetExhaustedError)
    assert "45 tokens are spent" in str(error)


def test_a_call_that_a_killed_process_left_open_counts_in_full(tmp_path: Path) -> None:
    path = tmp_path / "spent.jsonl"
    killed = CostLog(path)
    with charge_to("explain", "5:1"):
        done = killed.begin_call("a", Spent(1, 0, 90, 0, 10))
        killed.begin_call("b", Spent(1, 0, 90, 0, 10))
        killed.end_call(done, Spent(1, 0, 9, 0, 1))
    with path.open("ab") as file:
        file.write(b'{"id": 7, "key": "torn", "wor')
    for _ in range(2):
        cost_log = CostLog(path)
        assert cost_log.ledger.by_stage == {"explain": Spent(2, 0, 99, 0, 11, assumed=1)}
        assert cost_log.committed()[0] == 110


def test_an_open_call_without_a_price_reserves_its_tokens_and_no_dollars(tmp_path: Path) -> None:
    path, worst = tmp_path / "spent.jsonl", Spent(1, 0, 90, 0, 10, usd=None)
    CostLog(path).begin_call("a", worst)
    resumed = CostLog(path, resumes=True)
    assert resumed.committed() == (100, Decimal(0))
    assert resumed.committed(resumed="a") == (0, Decimal(0))


def test_calls_of_a_log_that_is_read_again_keep_numbers_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "spent.jsonl"
    first = CostLog(path)
    numbers = [first.begin_call(key, Spent(1)) for key in "abc"]
    assert CostLog(path).begin_call("d", Spent(1)) not in numbers
    assert CostLog(path).n_open == 4


def test_a_damaged_account_is_named_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "spent.jsonl"
    path.write_text('{"spent": {"requests": 1}}\nnonsense\n')
    with pytest.raises(StorageError, match="line 2 of .* is damaged"):
        CostLog(path)
    assert "nonsense" in path.read_text()


def test_tasks_carry_what_they_are_for_and_blocks_end() -> None:
    cost_log = CostLog()
    with charge_to("explain", "5:1"), charge_to("null"):
        cost_log.add(Spent(cached_replies=1))
    cost_log.add(Spent(cached_replies=1))
    assert [(purpose.stage, purpose.unit) for purpose in cost_log.ledger.by_purpose] == [
        ("null", "5:1"),
        ("other", ""),
    ]


def test_a_request_that_failed_in_all_its_attempts_may_have_been_charged() -> None:
    model = budgeted(lambda _: RequestFailedError("cut"), tokens=10_000)
    ask(model, HELLO)
    assert model.ledger.total == Spent(1, 0, MOST - 20, 0, 20, PRICE.cost(Usage(MOST - 20, 20)), 1)


def test_a_call_that_waits_for_its_turn_is_not_booked() -> None:
    cost_log, open_calls = CostLog(), []

    def answer(_: ChatRequest) -> ChatReply:
        open_calls.append(cost_log.committed()[0] - cost_log.ledger.total.tokens)
        return used(1, 1)

    model = Slow(answer, [3])
    paid = BudgetedModel(model, budget=Budget(), price=PRICE, cost_log=cost_log, at_once=2)
    ask(paid, *(replace(HELLO, seed=number) for number in range(10)))
    assert len(open_calls) == 10
    assert max(open_calls) <= 2 * MOST
