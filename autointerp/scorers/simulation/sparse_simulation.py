"""Simulation in its cheapest written form: only the tokens that shall be active are listed.

Prompt v1 asks instruction-following models, v3 shows few-shot turns to small ones. Most levels
are 0, and a level for every token is what a simulation costs most. There are no
expected values: what is not listed has no position of its own in the reply.
"""

from __future__ import annotations

from typing_extensions import override

from autointerp.core.config import JobSpec
from autointerp.core.records import MAX_LEVEL
from autointerp.core.variants import PromptCalls
from autointerp.llm import ChatModel, ChatReply, ChatRequest, Features, JsonSchema
from autointerp.llm.reply_formats import (
    LEVEL,
    array_schema,
    chat_request,
    in_turn,
    object_schema,
    some_of,
)
from autointerp.scorers.scorer_spec import ScorerSpec
from autointerp.scorers.simulation.dense_simulation import FormSimulation, cell_calls
from autointerp.scorers.simulation.level_forms import LevelsForm, Windows, read_each, render_rows
from autointerp.scorers.simulation.levels_reply import LevelsReply, read_sparse
from autointerp.templates import load_template


class SparseSimulation(FormSimulation):
    """Predicts activations of held-out windows from a list of the active tokens."""

    name = "simulation_sparse"

    def __init__(self, model: ChatModel, *, windows_per_call: int = 1) -> None:
        template = load_template("simulate_sparse", "v3" if model.features.small else "v1")
        super().__init__(model, _Pairs(template), windows_per_call)


class _Pairs(LevelsForm):
    @override
    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        texts = [
            f"Text {i}\n{render_rows(tokens, by_index=True)}" for i, tokens in enumerate(windows, 1)
        ]
        turns = self.template.render(explanation=explanation, texts="\n\n".join(texts))
        return chat_request(
            features,
            turns,
            max_tokens=40 + sum(12 + 8 * len(tokens) for tokens in windows),
            schema=_schema(windows),
            grammar=_grammar(windows) if features.grammar else None,
        )

    @override
    def read(self, reply: ChatReply, windows: Windows) -> list[LevelsReply | str]:
        def pairs(number: int, n_tokens: int) -> LevelsReply:
            return read_sparse(reply, number, n_tokens=n_tokens, top=self.top)

        return read_each(reply, windows, pairs)


def _schema(windows: Windows) -> JsonSchema:
    highest = max(MAX_LEVEL, *(len(tokens) - 1 for tokens in windows))
    number = {"type": "integer", "minimum": 0, "maximum": highest}
    pair = array_schema(number, least=2, most=2)
    lists = {str(i): array_schema(pair, most=len(tokens)) for i, tokens in enumerate(windows, 1)}
    return object_schema("active_tokens", lists)


def _grammar(windows: Windows) -> str:
    names = {i: f"w{i}" for i in range(1, len(windows) + 1)}
    lists = in_turn(f'"\\"{i}\\": " {name}' for i, name in names.items())
    rules = [f'root ::= "{{" {lists} "}}"']
    for name, tokens in zip(names.values(), windows, strict=True):
        rules += some_of(name, [f'"[{index}, " level "]"' for index in range(len(tokens))])
    return "\n".join([*rules, LEVEL])


def _calls(job: JobSpec, n_windows: int) -> tuple[PromptCalls, ...]:
    return cell_calls("simulate_sparse", "v3" if job.is_small_llm else "v1", job, n_windows)


SPEC = ScorerSpec(
    name=SparseSimulation.name,
    build=lambda d: SparseSimulation(d.model, windows_per_call=d.config.windows_per_call),
    headline="population",
    calls=_calls,
    predicts_activations=True,
    judges_windows=True,
)
