"""Token lookup finds the tokens and bigrams that carry the activation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from factories import make_unit

from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, ExplainSet, TokenMeans
from autointerp.explainers import ExplainInputs, TokenLookup
from autointerp.explainers.token_lookup import find_rules


class Letters:
    """A tokenizer whose tokens are letters."""

    name, bos_id = "letters", None

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(chr(i) for i in token_ids)


def record(text: str, activations: tuple[float, ...]) -> ActivationRecord:
    return ActivationRecord(
        window=0,
        document="d",
        offset=0,
        token_ids=tuple(map(ord, text)),
        tokens=tuple(text),
        activations=activations,
        stratum="top",
        weight=1.0,
    )


def inputs(means: dict[str, float], records: tuple[ActivationRecord, ...]) -> ExplainInputs:
    table = TokenMeans({ord(k): v for k, v in means.items()}, {ord(k): 10 for k in means}, 0.1)
    unit = make_unit()
    return ExplainInputs(ExplainSet(unit, Side.POSITIVE, records, 4.0), table, Letters())


def test_the_token_with_the_mass_is_named_first() -> None:
    found = find_rules(inputs({"a": 4.0, "b": 0.1, "c": 1.0}, ()))
    assert [rule.text for rule in found] == ["a", "c"]
    assert found[0].activation == (10 * 4.0 + 0.1) / 11
    assert found[0].share == 40 / 51


def test_a_bigram_is_named_where_its_token_alone_fires_less() -> None:
    records = (record("xybyxy", (0, 4, 0, 0, 0, 4)),)
    found = find_rules(inputs({"y": 1.0, "x": 0.05}, records))
    assert [rule.text for rule in found] == ["y", "xy"]
    assert found[1].activation == 4.0


def test_the_sentence_quotes_the_tokens() -> None:
    answer = asyncio.run(TokenLookup().explain(inputs({"a": 4.0, "\n": 3.0}, ())))
    assert answer.explanations[0].text == 'the tokens "a", "\\n"'
    assert answer.explanations[0].model is None


def test_a_unit_without_a_telling_token_gets_no_explanation() -> None:
    answer = asyncio.run(TokenLookup().explain(inputs({"a": 0.1, "b": 0.1}, ())))
    assert answer.explanations == ()
    assert answer.failures == ("token_lookup: no token is more active than the others",)
