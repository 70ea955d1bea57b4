"""How often a unit's own label is among those that fit its held-out text best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from factories import make_label, make_record
from sense_labels import make_sense_label

from autointerp.core.explanations import LabelStatus
from autointerp.core.ids import Side
from autointerp.sanity.label_recall import (
    N_TEXTS,
    LabelledTexts,
    LabelRecall,
    label_recall,
    labelled_texts,
)

WORDS = ("rivers", "months", "lakes", "kings", "ships", "trees", "birds")


class WordCounts:
    """Embeds a text by how often it says each of some words."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked += texts
        return [[float(text.split().count(word)) for word in WORDS] for text in texts]


def side(text: str, *texts: str, score: float | None = 0.5) -> LabelledTexts:
    return LabelledTexts({"label": text}, {"label": score}, texts)


def recalled(*sides: LabelledTexts) -> LabelRecall:
    [row] = label_recall(sides, WordCounts())
    return row


def test_labels_that_say_what_their_units_read_are_all_found() -> None:
    row = recalled(*(side(word, f"the {word}", f"{word} again") for word in WORDS))
    assert [one.name for one in row.recall] == ["recall_at_1", "recall_at_5"]
    assert [one.value for one in row.recall] == [1.0, 1.0]
    assert [row.chance(one) for one in row.recall] == [1 / 7, 5 / 7]
    first = row.recall[0]
    assert first.low is not None
    assert (first.n_windows, round(first.low, 2)) == (7, 0.65)
    assert (row.kind, row.median_score, row.n_left_out) == ("label", 0.5, 0)


def test_labels_dealt_out_wrongly_are_not_found() -> None:
    sides = [side(word, WORDS[i - 1]) for i, word in enumerate(WORDS)]
    assert recalled(*sides).recall[0].value == 0.0


def test_labels_of_the_same_words_tell_no_units_apart() -> None:
    row = recalled(*(side("rivers", "rivers and ships") for _ in range(7)))
    assert [one.value for one in row.recall] == [0.0, 0.0]


def test_a_text_without_direction_is_no_hit() -> None:
    row = recalled(side("nothing of note", "rivers"), *(side(word, word) for word in WORDS))
    assert row.recall[0].value == pytest.approx(7 / 8)
    odd = [[math.nan] * 7, *([[1.0] * 7] * 13)]

    class Broken:
        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return [odd.pop(0) for _ in texts]

    [broken] = label_recall([side(word, word + " x") for word in WORDS], Broken())
    assert broken.recall[0].value == 0.0


def test_sides_without_held_out_activity_or_a_label_are_left_out_and_counted() -> None:
    unsaid = LabelledTexts({}, {}, ("rivers",))
    row = recalled(side("rivers"), unsaid, *(side(word, word, score=None) for word in WORDS))
    assert (row.n_left_out, row.recall[0].n_windows, row.median_score) == (2, 7, None)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_labels_leave_recall_undefined_with_the_reason(n: int) -> None:
    row = recalled(*(side(word, word) for word in WORDS[:n]))
    assert row.recall[1].value is None
    assert row.chance(row.recall[1]) is None
    why = f"needs more than 5 labelled units with held-out text, found {n}"
    assert row.recall[1].reason == why


def test_the_llms_words_and_the_rules_stand_beside_the_labels() -> None:
    label = make_sense_label()
    records = [make_record(i, (0.0, float(i)), "top") for i in range(30)]
    made = labelled_texts(label, records)
    assert label.llm is not None
    assert label.rules is not None
    assert made.explanations == {
        "label": label.llm.explanation.text,
        "LLM": label.llm.explanation.text,
        "rules": label.rules.explanation.text,
    }
    assert made.scores["rules"] == 0.38
    rows = label_recall([made] * 7, WordCounts())
    assert [row.kind for row in rows] == ["label", "LLM", "rules"]


def test_texts_are_the_strongest_held_out_excerpts_of_the_side_and_each_is_embedded_once() -> None:
    tokens = tuple(f" {i}" for i in range(40))
    records = [
        replace(make_record(n, (-1.0 - n,) * 30 + (1.0 + n,) + (0.0,) * 9, "top"), tokens=tokens)
        for n in range(12)
    ]
    label = make_label()
    made = labelled_texts(label, records)
    assert made.texts == ("".join(tokens[14:39]),) * N_TEXTS
    negative = labelled_texts(replace(label, side=Side.NEGATIVE), records[:1])
    assert negative.texts == ("".join(tokens[:9]),)
    embedder = WordCounts()
    label_recall([made, negative], embedder)
    assert len(embedder.asked) == len(set(embedder.asked))
    dead = make_label(status=LabelStatus.DEAD)
    assert labelled_texts(dead, [make_record(0, (0.0, 0.0), "random")]).texts == ()
