"""Receipts through the real forward pass of the planted model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from planted import BANK, HOOK, MONTHS, OTHERS, RIVERS, planted_subject
from text_writer import TextWriter, Write

from autointerp.core.config import ScoreConfig
from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord, ExplainSet, TokenMeans
from autointerp.evidence import SubjectProbe
from autointerp.explainers import ExplainInputs
from autointerp.llm import ScriptedModel
from autointerp.pipeline.receipts import ReceiptsResult, collect_receipts
from autointerp.subjects import SubjectModel

# The other words of the vocabulary are free to take the place of these.
WINDOWS = (
    "the old stone of the Rhine bank the stone",
    "old stone of the Nile bank of stone",
    "the old stone May of the stone and Nile",
    "the old stone of a bank",
)


@pytest.fixture(scope="module")
def planted() -> SubjectModel:
    return planted_subject()


def inputs_of(subject: SubjectModel, neuron: int) -> ExplainInputs:
    unit, probe = UnitId("planted", HOOK, neuron), SubjectProbe(subject)
    fillers = [" ".join(OTHERS[place:] + OTHERS[:place]) for place in range(len(OTHERS))]
    ids = [tuple(subject.tokenizer.encode(f" {text}")) for text in (*WINDOWS, *fillers)]
    found = asyncio.run(probe.measure_ids(unit, ids))
    records = [
        ActivationRecord(place, "d", 0, own, one.tokens, one.activations, "top", 1.0)
        for place, (own, one) in enumerate(zip(ids, found, strict=True))
        if one.peak(Side.POSITIVE) > 0
    ]
    records.sort(key=lambda record: -record.peak(Side.POSITIVE))
    counts = Counter(token for own in ids for token in own)
    means = TokenMeans(dict.fromkeys(counts, 0.0), counts, 0.0)
    explain = ExplainSet(unit, Side.POSITIVE, tuple(records), records[0].peak(Side.POSITIVE))
    return ExplainInputs(explain, means, subject.tokenizer, probe=probe)


def sentence(*words: str) -> Write:
    def write(rng: object) -> str:
        drawn = [rng.choice(OTHERS) for _ in range(5)]  # type: ignore[attr-defined]
        return " ".join([*drawn, rng.choice(words), *drawn[:2]])  # type: ignore[attr-defined]

    return write


WRITER = TextWriter(
    {
        "months": sentence(*MONTHS),
        "banks of rivers": sentence(*(f"{river} {BANK}" for river in RIVERS)),
    },
    dict.fromkeys(("months", "banks of rivers"), sentence(*OTHERS, BANK)),
)


def collected(subject: SubjectModel, neuron: int, text: str) -> ReceiptsResult:
    explanation = Explanation(text, "token_activation", "m", None, 0.0, 0)
    return asyncio.run(
        collect_receipts(
            explanation, inputs_of(subject, neuron), ScriptedModel(WRITER), ScoreConfig(), seed=0
        )
    )


def test_the_right_explanation_survives_and_another_units_does_not(planted: SubjectModel) -> None:
    assert collected(planted, 0, "months").survived.value == 1.0
    assert collected(planted, 1, "banks of rivers").survived.value == 1.0
    other = collected(planted, 1, "months")
    assert other.survived.value == 0.5
    assert other.doubt(0) is not None


@pytest.mark.parametrize(
    ("neuron", "needs"),
    [
        (0, ("any text before ' May'", "any text before ' Nile'", "any text before ' Rhine'")),
        (1, ("needs ' Rhine' before ' bank'", "needs ' Nile' before ' bank'")),
    ],
)
def test_what_a_neuron_needs_is_what_was_planted(
    planted: SubjectModel, neuron: int, needs: Sequence[str]
) -> None:
    # Rivers excite the first alike, but for the last bits.
    assert {*collected(planted, neuron, "months").needs} == {*needs}
