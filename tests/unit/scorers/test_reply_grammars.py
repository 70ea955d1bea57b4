"""Grammars for lists of what is active, followed by a real llama.cpp."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_sets
from hostile import hostile_windows
from judged_text import judge, rendered

from autointerp.core.records import ActivationRecord
from autointerp.llm import (
    ChatReply,
    ChatRequest,
    EchoUnsupportedError,
    EmbeddedOptions,
    EmbeddedServer,
    Features,
    ScriptedModel,
)
from autointerp.llm.reply_formats import literal, some_of
from autointerp.scorers import Scorer, ScoringSet
from autointerp.scorers.simulation.dense_simulation import Simulation
from autointerp.scorers.simulation.sparse_simulation import SparseSimulation
from autointerp.scorers.simulation.words_simulation import WordsSimulation

GOLDEN = Path(__file__).parents[2] / "golden"
SMALL = ScoringSet.of(make_sets().held_out, seed=0, n_bootstrap=200, confidence=0.95)
TOKENS = (" the", " old", " river", ",", ' "', " é", "\n", "水", " the", "\\", " Mar", "seille")


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer(options=EmbeddedOptions(n_parallel=1, n_threads=1)) as running:
        yield running


class Asking(ScriptedModel):
    """Asks a server in its way: by grammar, or by schema, or warmer than scorers do."""

    def __init__(self, server: EmbeddedServer, **changes: object) -> None:
        features = Features(grammar="schema" not in changes, small=True, n_ctx=2_048)
        super().__init__(lambda _: "", features=features)
        self._server, self._changes = server, changes
        self.replies: list[ChatReply] = []

    async def reply(self, request: ChatRequest) -> ChatReply:
        changes = {k: v for k, v in self._changes.items() if k != "schema"}
        client = self._server.connect()
        try:
            self.replies.append(await client.reply(replace(request, **changes)))  # type: ignore[arg-type]
        finally:
            await client.close()
        return self.replies[-1]


def windows(n: int) -> ScoringSet:
    records = hostile_windows().records
    return replace(hostile_windows(), records=tuple(_shown(r) for r in records[:n]))


def _shown(record: ActivationRecord) -> ActivationRecord:
    n = len(record.tokens)
    return replace(record, tokens=(TOKENS * 2)[:n])


def test_a_list_holds_some_of_the_items_each_once_in_their_order() -> None:
    assert some_of("w1", ['"a"', '"b"', '"c"']) == [
        'w1 ::= "[" w1-0? "]"',
        'w1-0 ::= "a" (", " w1-1)? | w1-1',
        'w1-1 ::= "b" (", " w1-2)? | w1-2',
        'w1-2 ::= "c"',
    ]
    assert some_of("w1", []) == ['w1 ::= "[]"']
    assert literal('["\\n", ') == '"[\\"\\\\n\\", "'


@pytest.mark.parametrize("per_call", [1, 3])
@pytest.mark.parametrize("made", [SparseSimulation, WordsSimulation, Simulation])
def test_at_any_temperature_every_reply_of_llama_cpp_can_be_read(
    made: type[Simulation], per_call: int, server: EmbeddedServer
) -> None:
    model = Asking(server, temperature=1.5, seed=3)
    scorer: Scorer = made(model, windows_per_call=per_call)
    result = judge(scorer, "rivers", windows(3))
    assert [t.failure for t in result.trials] == [None] * 3
    assert {reply.finish_reason for reply in model.replies} == {"stop"}


@pytest.mark.parametrize("made", [SparseSimulation, WordsSimulation])
def test_llama_cpp_takes_the_schemas_too_and_ends_what_follows_them(
    made: type[SparseSimulation], server: EmbeddedServer
) -> None:
    model = Asking(server, schema=True, grammar=None)
    judge(made(model, windows_per_call=2), "rivers", windows(2))
    assert [reply.finish_reason for reply in model.replies] == ["stop"]
    assert json.loads(model.replies[0].text)


@pytest.mark.parametrize(("made", "name"), [(SparseSimulation, "v3"), (WordsSimulation, "v4")])
def test_the_whole_prompt_for_small_models_is_the_golden_file(
    made: type[SparseSimulation], name: str
) -> None:
    model = ScriptedModel(lambda _: "", features=Features(small=True))
    judge(made(model, windows_per_call=3), "cats", SMALL)
    golden = GOLDEN / f"simulate_sparse_{name}.txt"
    assert rendered(model.requests[0]) == golden.read_text("utf-8")


def test_llama_cpp_says_in_a_sentence_that_it_echoes_no_log_probabilities(
    server: EmbeddedServer,
) -> None:
    async def ask() -> Sequence[object]:
        client = server.connect()
        try:
            return await client.prompt_logprobs("echo")
        finally:
            assert client.features.echo is False
            await client.close()

    with pytest.raises(EchoUnsupportedError, match="gives no log-probabilities of a prompt for"):
        asyncio.run(ask())
