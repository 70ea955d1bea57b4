from __future__ import annotations

import asyncio
import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_logprobs import with_logprobs

from autointerp.core.errors import StorageError, UpstreamError
from autointerp.core.files import storage_errors
from autointerp.llm import (
    CachedModel,
    ChatReply,
    ChatRequest,
    Message,
    ScriptedModel,
    Usage,
)
from autointerp.llm.cost_log import CostLog, Spent

HELLO = ChatRequest((Message("user", "hello"),), 8)
LEVELS = with_logprobs("3, 0", [("3", {"3": 0.6, "2": 0.1 + 0.2}), ("0", {"0": 1 / 3})])


def ask(model: CachedModel, *requests: ChatRequest) -> list[ChatReply]:
    async def _ask() -> list[ChatReply]:
        return list(await asyncio.gather(*(model.reply(request) for request in requests)))

    return asyncio.run(_ask())


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_kept_reply_is_the_same_to_the_bit(tmp_path: Path) -> None:
    [first] = ask(CachedModel(ScriptedModel(lambda _: LEVELS), tmp_path), HELLO)
    silent = ScriptedModel(lambda _: AssertionError("asked again"))
    [second] = ask(CachedModel(silent, tmp_path), HELLO)
    assert first == LEVELS
    assert second == replace(LEVELS, from_cache=True)


def test_a_file_is_named_by_the_key_in_a_folder_of_its_beginning(tmp_path: Path) -> None:
    ask(CachedModel(ScriptedModel(lambda _: "x", name="m"), tmp_path), HELLO)
    key = HELLO.key("m")
    assert files(tmp_path) == [tmp_path / key[:2] / f"{key}.json"]
    assert json.loads(files(tmp_path)[0].read_bytes())["version"] == 1


def test_equal_calls_in_flight_are_sent_once(tmp_path: Path) -> None:
    inner = ScriptedModel(lambda _: "x")
    cost_log = CostLog()
    model = CachedModel(inner, tmp_path, cost_log=cost_log)
    replies = ask(model, HELLO, HELLO, HELLO, HELLO, replace(HELLO, seed=1))
    assert len(inner.requests) == 2
    assert sorted(reply.from_cache for reply in replies) == [False, False, True, True, True]
    assert model.total_usage.cached_replies == 3
    assert cost_log.ledger.total == Spent(cached_replies=3)


def test_another_model_and_another_identity_have_replies_of_their_own(tmp_path: Path) -> None:
    for name, identity in (("a", None), ("b", None), ("a", "a@http://elsewhere")):
        inner = ScriptedModel(lambda _: "x", name=name)
        ask(CachedModel(inner, tmp_path, identity=identity), HELLO)
        assert len(inner.requests) == 1
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b"\xff\xfe", b'{"version": 2}'])
def test_a_damaged_file_is_written_anew(tmp_path: Path, damage: bytes) -> None:
    inner = ScriptedModel(lambda _: "x")
    model = CachedModel(inner, tmp_path)
    ask(model, HELLO)
    [path] = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage)
    assert not ask(model, HELLO)[0].from_cache
    assert path.read_bytes() == whole


def test_a_file_of_another_request_or_with_more_in_it_is_damaged(tmp_path: Path) -> None:
    model = CachedModel(ScriptedModel(lambda _: "x"), tmp_path)
    ask(model, HELLO)
    [path] = files(tmp_path)
    stored = json.loads(path.read_bytes())
    usage = {"usage": {**stored["usage"], "prompt_tokens": "3"}}
    for change in ({"key": "0" * 64}, {"more": 1}, {"text": None}, {"version": "1"}, usage):
        path.write_text(json.dumps({**stored, **change}))
        assert not ask(model, HELLO)[0].from_cache
        assert ask(model, HELLO)[0].from_cache


def test_failures_are_never_kept(tmp_path: Path) -> None:
    broken = ScriptedModel(lambda _: UpstreamError("down", retryable=True))
    with pytest.raises(UpstreamError, match="down"):
        ask(CachedModel(broken, tmp_path), HELLO)
    bad = ChatReply("", "error", None, Usage(), "m")
    ask(CachedModel(ScriptedModel(lambda _: bad), tmp_path), HELLO)
    assert files(tmp_path) == []


def test_everyone_who_waits_hears_of_a_failure(tmp_path: Path) -> None:
    inner = ScriptedModel(lambda _: UpstreamError("down", retryable=True))
    model = CachedModel(inner, tmp_path)

    async def _ask() -> list[object]:
        calls = [model.reply(HELLO) for _ in range(3)]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    assert [str(result) for result in asyncio.run(_ask())] == ["down"] * 3
    assert len(inner.requests) == 1


def test_a_full_disk_is_said_before_the_reply_is_used(tmp_path: Path) -> None:
    def full(path: Path, data: bytes) -> None:
        with storage_errors(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    model = CachedModel(ScriptedModel(lambda _: "x"), tmp_path, write=full)
    path = tmp_path / HELLO.key("scripted")[:2] / f"{HELLO.key('scripted')}.json"
    why = f"could not write {path}: No space left on device; free some space"
    said = f"the reply cache cannot be used: {why}"
    with pytest.raises(StorageError) as caught:
        ask(model, HELLO)
    assert str(caught.value).startswith(said)


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    with pytest.raises(StorageError, match="taken.*: Not a directory"):
        ask(CachedModel(ScriptedModel(lambda _: "x"), taken), HELLO)


class Slow(ScriptedModel):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(lambda _: "x")
        self.gate = asyncio.Event()
        self.cancelled = False

    async def reply(self, request: ChatRequest) -> ChatReply:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await super().reply(request)


def test_a_caller_that_goes_away_does_not_take_the_reply_from_others(tmp_path: Path) -> None:
    async def _play() -> ChatReply:
        inner = Slow()
        model = CachedModel(inner, tmp_path)
        first, second = (asyncio.create_task(model.reply(HELLO)) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0)
        inner.gate.set()
        return await second

    assert asyncio.run(_play()).text == "x"


def test_a_call_that_nobody_waits_for_is_cancelled(tmp_path: Path) -> None:
    async def _play() -> tuple[bool, str]:
        inner = Slow()
        model = CachedModel(inner, tmp_path)
        call = asyncio.create_task(model.reply(HELLO))
        await asyncio.sleep(0.05)
        call.cancel()
        again = asyncio.create_task(model.reply(HELLO))
        await asyncio.sleep(0.05)
        inner.gate.set()
        return inner.cancelled, (await again).text

    assert asyncio.run(_play()) == (True, "x")


def test_closing_closes_the_model_inside(tmp_path: Path) -> None:
    inner = ScriptedModel(lambda _: "x")
    asyncio.run(CachedModel(inner, tmp_path).close())
    assert inner.closed


def test_a_fresh_reply_takes_the_place_of_the_kept_one(tmp_path: Path) -> None:
    answers = iter(["useless", "useful"])
    model = CachedModel(ScriptedModel(lambda _: next(answers)), tmp_path)
    asked = [HELLO, replace(HELLO, fresh=True), HELLO]
    replies = [ask(model, request)[0] for request in asked]
    assert [reply.text for reply in replies] == ["useless", "useful", "useful"]
    assert [reply.from_cache for reply in replies] == [False, False, True]
    assert len(files(tmp_path)) == 1
