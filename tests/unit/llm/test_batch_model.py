from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_batch import FakeBatches, Refusal

from autointerp.core.config import Budget
from autointerp.core.errors import InputError, RequestRefusedError, UpstreamError
from autointerp.llm.batch_model import BatchModel, BatchOptions
from autointerp.llm.budget import BudgetedModel
from autointerp.llm.chat_model import ChatReply, ChatRequest, JsonSchema, Message
from autointerp.llm.cost_log import CostLog, Spent
from autointerp.llm.options import ClientDependencies
from autointerp.llm.prices import FREE

KEY = "sk-very-secret"


def ask(word: str, **more: Any) -> ChatRequest:
    return ChatRequest((Message("user", f"say {word}"),), 16, **more)


def echo(body: dict[str, Any]) -> str:
    return str(body["messages"][0]["content"]).removeprefix("say ")


@pytest.fixture
def fake() -> Iterator[FakeBatches]:
    with FakeBatches(echo) as running:
        yield running


async def no_wait(seconds: float) -> None:
    await asyncio.sleep(0)


def model(fake: FakeBatches, folder: Path, sleep: Any = no_wait, **more: Any) -> BatchModel:
    on_event = more.pop("on_event", lambda _: None)
    return BatchModel(
        fake.base_url,
        "fake",
        state=folder / "batches.json",
        api_key=KEY,
        options=BatchOptions(**more),
        dependencies=ClientDependencies(sleep=sleep),
        on_event=on_event,
    )


def run(batches: BatchModel, *requests: ChatRequest) -> list[ChatReply | BaseException]:
    async def _run() -> list[ChatReply | BaseException]:
        try:
            calls = (batches.reply(request) for request in requests)
            return list(await asyncio.gather(*calls, return_exceptions=True))
        finally:
            await batches.close()

    return asyncio.run(_run())


def texts(results: list[ChatReply | BaseException]) -> list[str]:
    return [r.text if isinstance(r, ChatReply) else f"{type(r).__name__}: {r}" for r in results]


def words(n: int) -> list[ChatRequest]:
    return [ask(f"word{i}") for i in range(n)]


def test_calls_are_one_batch_and_everyone_gets_their_own_answer(
    fake: FakeBatches, tmp_path: Path
) -> None:
    events: list[str] = []
    batches = model(fake, tmp_path, on_event=events.append)
    assert texts(run(batches, *words(5))) == [f"word{i}" for i in range(5)]
    assert len(fake.batches) == 1
    assert (batches.total_usage.requests, batches.total_usage.completion_tokens) == (5, 5)
    assert [line.split(": ")[1] for line in events] == [
        "validating, 0 of 5 answered",
        "in progress, 0 of 5 answered",
        "finalizing, 0 of 5 answered",
        "completed, 5 of 5 answered",
    ]
    assert {headers["authorization"] for headers in fake.headers} == {f"Bearer {KEY}"}


def test_a_line_holds_the_whole_request_under_the_newer_name_of_the_limit(
    fake: FakeBatches, tmp_path: Path
) -> None:
    schema = JsonSchema("s", '{"type": "object"}')
    run(model(fake, tmp_path), ask("caf\u00e9 \ud800", schema=schema, seed=3, top_logprobs=2))
    line = json.loads(fake.files["file-1"])
    assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
    assert line["body"]["messages"] == [{"role": "user", "content": "say caf\u00e9 ?"}]
    assert line["body"]["max_completion_tokens"] == 16
    assert line["body"]["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (line["body"]["seed"], line["body"]["top_logprobs"]) == (3, 2)


def test_equal_calls_are_sent_once_and_said_to_be_shared(fake: FakeBatches, tmp_path: Path) -> None:
    batches = model(fake, tmp_path)
    results = run(batches, ask("a"), ask("a"), ask("a", fresh=True))
    assert [isinstance(r, ChatReply) and r.from_cache for r in results] == [False, True, False]
    assert len(fake.paid) == 2
    assert batches.total_usage.cached_replies == 1


@pytest.mark.parametrize(("limits", "n"), [({"max_requests": 2}, 3), ({"max_bytes": 500}, 3)])
def test_what_does_not_fit_one_batch_goes_with_the_next(
    fake: FakeBatches, tmp_path: Path, limits: dict[str, int], n: int
) -> None:
    assert texts(run(model(fake, tmp_path, **limits), *words(5))) == [f"word{i}" for i in range(5)]
    assert len(fake.batches) == n


def test_larger_batches_than_openai_takes_are_refused() -> None:
    with pytest.raises(InputError, match="1 to 50,000 requests and at most 200,000,000 bytes"):
        BatchOptions(max_requests=50_001)


def test_a_failed_or_missing_line_fails_its_call_alone(fake: FakeBatches, tmp_path: Path) -> None:
    bad = {"say word1": Refusal(400, f"too long, {KEY}"), "say word2": None}
    fake.handler = lambda body: bad.get(body["messages"][0]["content"], "fine")
    results = run(model(fake, tmp_path), *words(4))
    assert texts(results) == [
        "fine",
        "RequestRefusedError: one request of batch batch_1 was answered 400: too long, ***",
        "RequestRefusedError: batch batch_1 has no result for one request",
        "fine",
    ]


def test_an_empty_answer_is_an_answer_and_no_completion_is_none(
    fake: FakeBatches, tmp_path: Path
) -> None:
    fake.handler = lambda _: ""
    [empty] = run(model(fake, tmp_path), ask("x"))
    assert isinstance(empty, ChatReply)
    assert empty.text == ""


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_what_was_run_before_the_end_is_answered_and_the_rest_can_be_resumed(
    fake: FakeBatches, tmp_path: Path, end: str
) -> None:
    fake.end, fake.n_before_the_end = end, 2
    results = run(model(fake, tmp_path), *words(4))
    assert texts(results)[:2] == ["word0", "word1"]
    for error in results[2:]:
        assert type(error) is UpstreamError
        assert "never run" in str(error)
        assert "--resume" in str(error)
    fake.end = "completed"
    assert texts(run(model(fake, tmp_path), *words(4))) == [f"word{i}" for i in range(4)]
    assert len(fake.paid) == 4


def test_a_batch_that_is_not_taken_says_why_and_is_sent_anew(
    fake: FakeBatches, tmp_path: Path
) -> None:
    fake.end = "failed"
    [error] = run(model(fake, tmp_path), ask("a"))
    assert isinstance(error, UpstreamError)
    assert "rejected batch batch_1: no reason given; nothing of it was run" in str(error)
    fake.end = "completed"
    assert texts(run(model(fake, tmp_path), ask("a"))) == ["a"]


def killed_when(fake: FakeBatches, folder: Path, condition: Any, *requests: ChatRequest) -> None:
    """Runs until the condition holds at a wait, and stops without any farewell."""

    async def _run() -> None:
        reached, never = asyncio.Event(), asyncio.Event()

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(0)
            if condition():
                reached.set()
                await never.wait()

        batches = model(fake, folder, sleep)
        calls = [asyncio.create_task(batches.reply(request)) for request in requests]
        await reached.wait()
        assert not any(call.done() for call in calls)
        await batches.close()

    asyncio.run(_run())


def test_a_killed_process_finds_its_batches_again_and_pays_once(
    fake: FakeBatches, tmp_path: Path
) -> None:
    killed_when(fake, tmp_path, lambda: fake.batches, *words(3))
    assert fake.paid == []
    results = run(model(fake, tmp_path), *words(4))
    assert texts(results) == [f"word{i}" for i in range(4)]
    assert len(fake.paid) == len(set(fake.paid)) == 4
    assert texts(run(model(fake, tmp_path), *words(4))) == [f"word{i}" for i in range(4)]
    assert len(fake.paid) == 4


def test_a_batch_whose_id_was_never_read_is_found_by_its_mark(
    fake: FakeBatches, tmp_path: Path
) -> None:
    fake.faults["POST /batches"] = ["lost"]
    fake.faults["GET /batches"] = ["500"] * 4
    [error] = run(model(fake, tmp_path), ask("a"))
    assert "run again with --resume" in str(error)
    assert texts(run(model(fake, tmp_path), ask("a"))) == ["a"]
    assert len(fake.batches) == 1


def test_a_lost_answer_does_not_make_a_second_batch(fake: FakeBatches, tmp_path: Path) -> None:
    fake.faults["POST /batches"] = ["lost"]
    assert texts(run(model(fake, tmp_path), ask("a"))) == ["a"]
    assert len(fake.batches) == 1


def test_what_may_pass_is_tried_again_at_every_step(fake: FakeBatches, tmp_path: Path) -> None:
    paths = ["POST /files", "POST /batches", "GET /batches/batch_1", "GET /files/file-2/content"]
    fake.faults = {path: ["429", "503"] for path in paths}
    assert texts(run(model(fake, tmp_path), ask("a"))) == ["a"]
    assert not any(fake.faults.values())


@pytest.mark.parametrize(
    ("status", "said"), [("401", "AUTOINTERP_LLM_API_KEY"), ("404", "run without --batch")]
)
def test_what_will_not_pass_stops_at_once(
    fake: FakeBatches, tmp_path: Path, status: str, said: str
) -> None:
    fake.faults["POST /files"] = [status]
    [error] = run(model(fake, tmp_path), ask("a"))
    assert isinstance(error, UpstreamError)
    assert not isinstance(error, RequestRefusedError)
    assert said in str(error)
    assert fake.batches == {}


def test_the_state_of_another_model_or_a_damaged_one_is_refused(
    fake: FakeBatches, tmp_path: Path
) -> None:
    run(model(fake, tmp_path), ask("a"))
    path = tmp_path / "batches.json"
    with pytest.raises(InputError, match=r"is of fake at http.*, not of other at"):
        BatchModel(fake.base_url, "other", state=path)
    path.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        model(fake, tmp_path)


def test_a_budget_knows_that_a_batch_found_again_is_not_paid_twice(
    fake: FakeBatches, tmp_path: Path
) -> None:
    path = tmp_path / "spent.jsonl"
    request = ask("a b c")

    killed = CostLog(path, resumes=True)
    killed.begin_call(request.key("fake"), Spent(requests=1, prompt_tokens=400))
    cost_log = CostLog(path, resumes=True)
    budgeted = BudgetedModel(
        model(fake, tmp_path), budget=Budget(tokens=500), price=FREE.batched(), cost_log=cost_log
    )

    async def _ask() -> None:
        await budgeted.reply(request)
        await budgeted.reply(replace(request, seed=1))
        await budgeted.close()

    asyncio.run(_ask())
    total = budgeted.ledger.total
    assert (total.requests, total.assumed, total.tokens) == (2, 0, 14)
