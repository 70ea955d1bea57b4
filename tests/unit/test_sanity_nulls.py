"""What cannot be right is scored beside what is; a scorer that cannot tell them is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from planted import planted_subject, planted_texts
from tiny import tiny_subject, write_texts

from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.scores import Score, ScorerResult
from autointerp.corpora import load_corpus
from autointerp.programs.language import parse_program
from autointerp.sanity.known_units import ReadOptions, UnitsRead, read_units
from autointerp.sanity.nulls import (
    NullRow,
    Separation,
    area,
    judge_separation,
    null_rows,
    own_explanation,
    token_program,
)
from autointerp.scorers import ScoringSet
from autointerp.scorers.detection import SPEC
from autointerp.subjects import parse_units
from autointerp.subjects.subject_loading import randomize


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> UnitsRead:
    subject = planted_subject()
    path = write_texts(tmp_path_factory.mktemp("planted"), planted_texts(60))
    corpus = load_corpus(str(path), subject, n_tokens=9_000, n_ctx=32, seed=0)
    return read_units(subject, corpus, parse_units("0:0-2", subject), ReadOptions(n_heldout=24))


@pytest.fixture(scope="module")
def rows(read: UnitsRead) -> dict[tuple[str, str, str], NullRow]:
    found = asyncio.run(null_rows(read, read))
    return {(row.scorer, row.explained_by, row.score): row for row in found}


@dataclass
class Judge:
    """Scores an explanation of a unit by a rule."""

    rule: Callable[[Explanation, ScoringSet], float | None]
    name: str = "detection"
    prompts: tuple[PromptRef, ...] = ()

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        value = self.rule(explanation, windows)
        reason = None if value is not None else "it was not judged"
        score = Score("balanced_accuracy", value, None, None, len(windows.records), reason)
        return ScorerResult(self.name, explanation.text, (score,), ())


def separated(
    read: UnitsRead, rule: Callable[[Explanation, ScoringSet], float | None]
) -> Separation:
    judged = judge_separation({SPEC: Judge(rule)}, read, n_units=3, n_windows=6)
    [separation] = asyncio.run(judged)
    return separation


@pytest.mark.parametrize("scorer", ["rules", "program", "lookup"])
def test_own_labels_score_far_above_those_of_other_units(
    rows: dict[tuple[str, str, str], NullRow], scorer: str
) -> None:
    own, null = (rows[scorer, by, "population"] for by in ("own", "shuffled label"))
    assert own.median is not None
    assert null.median is not None
    assert own.median > null.median + 0.3
    assert null.separated is not None
    assert null.separated >= 0.8
    assert own.separated is None


def test_nulls_without_an_explanation_are_scored_on_the_same_windows(
    rows: dict[tuple[str, str, str], NullRow],
) -> None:
    for null in ("random unit", "token frequency"):
        row = rows["none", null, "population"]
        assert row.n + row.n_undefined == 3
        assert row.separated is not None


def test_labels_of_random_weights_that_are_as_good_as_real_ones_are_not_told_apart(
    rows: dict[tuple[str, str, str], NullRow],
) -> None:
    # The planted model stands in for its own null.
    row = rows["rules", "random weights", "population"]
    assert row.median == rows["rules", "own", "population"].median
    assert row.separated == 0.5


def test_rules_become_a_program_that_can_be_read(read: UnitsRead) -> None:
    [bigram] = [unit for unit in read.units if unit.unit.index == 1]
    explanation = asyncio.run(own_explanation(bigram, read))
    assert explanation is not None
    source = token_program(explanation, read.subject.tokenizer, peak=bigram.sets.held_out.peak)
    assert source is not None
    assert 'previous = " Rhine" and token = " bank"' in source
    assert parse_program(source).levels((" the", " Rhine", " bank"))[2] == 10


def test_a_judge_that_knows_the_unit_separates_its_label_from_others(read: UnitsRead) -> None:
    own = {str(u.unit): asyncio.run(own_explanation(u, read)) for u in read.units}
    found = separated(
        read, lambda explanation, windows: float(own[str(windows.unit)] == explanation)
    )
    assert (found.n, found.n_asked, found.auc, found.low, found.high) == (3, 3, 1.0, 1.0, 1.0)


def test_a_judge_that_says_the_same_of_everything_separates_nothing(read: UnitsRead) -> None:
    assert separated(read, lambda *_: 0.5).auc == 0.5


def test_a_judge_that_cannot_be_read_has_no_separation_and_says_so(read: UnitsRead) -> None:
    found = separated(read, lambda *_: None)
    assert (found.n, found.n_asked, found.auc) == (0, 3, None)


def test_a_judge_is_shown_as_many_windows_as_a_job_would_show_it(read: UnitsRead) -> None:
    assert separated(read, lambda _, windows: float(len(windows.records))).own == 6.0


def test_the_area_counts_ties_half() -> None:
    assert area([1.0, 2.0], [1.0]) == 0.75
    assert area([], [1.0]) is None


def test_random_weights_keep_the_spread_of_each_parameter_and_nothing_else() -> None:
    before = {n: p.detach().clone() for n, p in tiny_subject().bridge.named_parameters()}
    random = randomize(tiny_subject(), seed=3)
    again = randomize(tiny_subject(), seed=3)
    after = {n: p.detach() for n, p in random.bridge.named_parameters()}
    large = [name for name, values in before.items() if values.numel() > 200]
    assert large
    for name in large:
        ratio = float(after[name].std() / before[name].std())
        pair = torch.stack([before[name].ravel(), after[name].ravel()])
        assert 0.8 < ratio < 1.25
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 0.3
    assert random.revision == again.revision != tiny_subject().revision
    assert random.name == "tiny-random"
