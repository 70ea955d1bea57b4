"""Simulation in its cheapest written form: only the tokens that shall be active are listed.

Most levels are 0, and a level for every token is what a simulation costs most. There are no
expected values: what is not listed has no position of its own in the reply.
"""

from __future__ import annotations

import json

from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.levels import MAX_LEVEL
from autointerp.core.scores import ScorerResult
from autointerp.llm import ChatModel, ChatReply, ChatRequest, Features, JsonSchema, Message
from autointerp.scorers.evidence import ScoringSet
from autointerp.scorers.level_forms import Windows, render_rows
from autointerp.scorers.levels_reply import LevelsReply, read_sparse
from autointerp.scorers.simulation import simulate
from autointerp.templates import load_template

__all__ = ["SparseSimulation"]


class SparseSimulation:
    """Predicts activations of held-out windows from a list of the active tokens."""

    name = "simulation_sparse"

    def __init__(self, model: ChatModel, *, windows_per_call: int = 1) -> None:
        """Asks for one window at a time, or for several."""
        self._model = model
        self._per_call = windows_per_call
        self._form = _Pairs()

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """The sparse simulation prompt."""
        return (self._form.template.ref,)

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Population, top-and-random and other scores of the simulated activations."""
        return await simulate(
            self.name, self._model, self._form, explanation.text, windows, self._per_call
        )


class _Pairs:
    top = MAX_LEVEL

    def __init__(self) -> None:
        self.template = load_template("simulate_sparse", "v1")

    def request(self, explanation: str, windows: Windows, features: Features) -> ChatRequest:
        texts = [
            f"Text {i}\n{render_rows(tokens, by_index=True)}" for i, tokens in enumerate(windows, 1)
        ]
        turns = self.template.render(explanation=explanation, texts="\n\n".join(texts))
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            max_tokens=40 + sum(12 + 8 * len(tokens) for tokens in windows),
            schema=_schema(len(windows)),
            grammar=_grammar(len(windows)) if features.grammar else None,
        )

    def read(self, reply: ChatReply, number: int, n_tokens: int) -> LevelsReply:
        return read_sparse(reply, number, n_tokens=n_tokens, top=self.top)


def _schema(n_windows: int) -> JsonSchema:
    pair = {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "integer"}}
    names = [str(i) for i in range(1, n_windows + 1)]
    schema = {
        "type": "object",
        "properties": {name: {"type": "array", "items": pair} for name in names},
        "required": names,
        "additionalProperties": False,
    }
    return JsonSchema("active_tokens", json.dumps(schema))


def _grammar(n_windows: int) -> str:
    lists = ' ", " '.join(f'"\\"{i}\\": [" pairs "]"' for i in range(1, n_windows + 1))
    return (
        f'root ::= "{{" {lists} "}}"\n'
        'pairs ::= (pair (", " pair)*)?\n'
        'pair ::= "[" index ", " level "]"\n'
        "index ::= [0-9] | [1-9] [0-9] | [1-9] [0-9] [0-9]\n"
        'level ::= "10" | [1-9]'
    )
