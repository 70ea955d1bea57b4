"""Files that version 0.1 wrote are read, and what is written now is the same to the byte."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from pathlib import Path

from scripted_logprobs import with_logprobs

from autointerp.llm import (
    CachedModel,
    ChatReply,
    ChatRequest,
    CostLog,
    Message,
    ScriptedModel,
    Spent,
    TokenChoice,
)
from autointerp.llm.batch_state import BatchState
from autointerp.llm.capabilities import Capabilities, CapabilityFile
from autointerp.llm.cost_log import charge_to

IDENTITY = "http://h/v1:m"
HELLO = ChatRequest((Message("user", "hello"),), 8)
LEVELS = with_logprobs("3, 0", [("3", {"3": 0.5, "2": 0.25}), ("0", {"0": 1 / 3})])
ECHOED = (TokenChoice("a", math.nan, ()), TokenChoice("b", -2.0, (("c", -0.5), ("b", -2.0))))

REPLY_KEY = "1a67639998409ea6a62858b3d0504ef4f3cffb31026544fca3d71066aaef220f"
REPLY = (
    b'{"version":1,"key":"1a67639998409ea6a62858b3d0504ef4f3cffb31026544fca3d71066aaef220f",'
    b'"text":"3, 0","finish_reason":"stop","tokens":[{"token":"3","logprob":-0.6931471805599453,'
    b'"alternatives":[["3",-0.6931471805599453],["2",-1.3862943611198906]]},{"token":", ",'
    b'"logprob":0.0,"alternatives":[[", ",0.0]]},{"token":"0","logprob":-1.0986122886681098,'
    b'"alternatives":[["0",-1.0986122886681098]]}],"usage":{"prompt_tokens":0,'
    b'"completion_tokens":3,"cached_tokens":0},"model":"scripted"}'
)
ECHO_KEY = "682159061eabf1b91d38df81bb4ce4695068ac0a916b5011a9e37b1649708aeb"
ECHO = (
    b'{"version":1,"key":"682159061eabf1b91d38df81bb4ce4695068ac0a916b5011a9e37b1649708aeb",'
    b'"text":"","finish_reason":"stop","tokens":[{"token":"a","logprob":NaN,"alternatives":[]},'
    b'{"token":"b","logprob":-2.0,"alternatives":[["c",-0.5],["b",-2.0]]}],"usage":'
    b'{"prompt_tokens":2,"completion_tokens":1,"cached_tokens":0},"model":"m"}'
)
COSTS = (
    b'{"id":0,"key":"a","stage":"explain","unit":"5:1",'
    b'"worst":{"requests":1,"prompt_tokens":90,"completion_tokens":10,"usd":"0.5"}}\n'
    b'{"id":1,"key":"b","stage":"explain","unit":"5:1",'
    b'"worst":{"requests":1,"prompt_tokens":90,"completion_tokens":10,"usd":"0.5"}}\n'
    b'{"id":0,"spent":{"requests":1,"prompt_tokens":9,"cached_tokens":2,"completion_tokens":1,'
    b'"usd":"0.00025"}}\n'
    b'{"stage":"other","spent":{"cached_replies":1}}\n'
)
BATCHES = (
    b'{"version":1,"endpoint":"http://h/v1","model":"m","batches":[{"mark":"ffff",'
    b'"batch_id":"batch_1","requests":{"k":"r1"}}]}'
)
CAPABILITIES = (
    b'{"version":2,"endpoint":"http://h/v1","model":"m","moment_s":1000.0,'
    b'"dropped":["max_tokens","seed"],"json_object":false,"max_top_logprobs":5,'
    b'"hidden_tokens":4096,"n_ctx":8192,"max_limit":null,"folder":"","echoed":20}'
)


class Echoing(ScriptedModel):
    async def prompt_logprobs(self, _text: str) -> tuple[TokenChoice, ...]:
        return ECHOED


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def ask(model: CachedModel) -> tuple[ChatReply, tuple[TokenChoice, ...]]:
    async def both() -> tuple[ChatReply, tuple[TokenChoice, ...]]:
        return await model.reply(HELLO), await model.prompt_logprobs("ab")

    return asyncio.run(both())


def test_cached_replies_and_echoes_are_found(tmp_path: Path) -> None:
    put(tmp_path / "1a" / f"{REPLY_KEY}.json", REPLY)
    put(tmp_path / "68" / f"{ECHO_KEY}.json", ECHO)
    silent = ScriptedModel(lambda _: AssertionError("sent"))
    reply, tokens = ask(CachedModel(silent, tmp_path, identity=IDENTITY))
    assert (reply.text, reply.tokens, reply.from_cache) == ("3, 0", LEVELS.tokens, True)
    assert repr(tokens) == repr(ECHOED)


def test_replies_and_echoes_are_written_as_they_were(tmp_path: Path) -> None:
    ask(CachedModel(Echoing(lambda _: LEVELS, name="m"), tmp_path, identity=IDENTITY))
    assert (tmp_path / "1a" / f"{REPLY_KEY}.json").read_bytes() == REPLY
    assert (tmp_path / "68" / f"{ECHO_KEY}.json").read_bytes() == ECHO


def test_a_cost_log_goes_on(tmp_path: Path) -> None:
    ledger = CostLog(put(tmp_path / "old.jsonl", COSTS)).ledger
    assert ledger.by_stage == {
        "explain": Spent(2, 0, 99, 2, 11, Decimal("0.50025"), 1),
        "other": Spent(cached_replies=1),
    }
    log, worst = CostLog(tmp_path / "new.jsonl"), Spent(1, 0, 90, 0, 10, Decimal("0.5"))
    with charge_to("explain", "5:1"):
        first, _ = log.begin_call("a", worst), log.begin_call("b", worst)
        log.end_call(first, Spent(1, 0, 9, 2, 1, Decimal("0.00025")))
    log.add(Spent(cached_replies=1))
    assert (tmp_path / "new.jsonl").read_bytes() == COSTS


def test_the_state_of_batches_and_what_an_endpoint_can_do_are_read(tmp_path: Path) -> None:
    path = put(tmp_path / "batches.json", BATCHES)
    state = BatchState(path, endpoint="http://h/v1", model="m")
    assert state.by_request["k"].batch_id == "batch_1"
    state.name(state.by_request["k"], "batch_1")
    assert path.read_bytes() == BATCHES
    file = CapabilityFile(tmp_path, endpoint="http://h/v1", model="m", clock=lambda: 1000.0)
    put(tmp_path / "5dcdf7f8419245f4ab27915f.json", CAPABILITIES)
    known = Capabilities(frozenset({"seed", "max_tokens"}), False, 5, 4096, 8192, None, "", 20)
    assert file.read() == known
    # What 0.1 wrote was guessed from words: the endpoint is asked again.
    put(tmp_path / "5dcdf7f8419245f4ab27915f.json", CAPABILITIES.replace(b":2,", b":1,", 1))
    assert file.read() is None
    file.write(known)
    assert (tmp_path / "5dcdf7f8419245f4ab27915f.json").read_bytes() == CAPABILITIES
