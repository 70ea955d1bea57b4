"""Units among those of their layer, for labels of which it is known whose activations they say."""

from __future__ import annotations

import numpy as np
import pytest
from factories import make_label
from tiny import tiny_corpus, tiny_gpt2, tiny_subject

from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.progress import SilentProgress
from autointerp.corpora import TokenCorpus
from autointerp.evidence.label_ranking import rank_labels
from autointerp.evidence.predicting_labels import (
    PredictedWindow,
    PredictingLabel,
    WindowText,
    n_tokens_read,
)
from autointerp.evidence.ranking_cost import ranking_cost
from autointerp.subjects import SubjectModel

HOOK = "blocks.1.mlp.hook_post"


@pytest.fixture(scope="module")
def subject() -> SubjectModel:
    return tiny_subject(tiny_gpt2())


@pytest.fixture(scope="module")
def corpus(subject: SubjectModel, tmp_path_factory: pytest.TempPathFactory) -> TokenCorpus:
    return tiny_corpus(tmp_path_factory.mktemp("corpus"), subject, n_tokens=1500)


def saying(
    subject: SubjectModel, corpus: TokenCorpus, index: int, said: int, *, windows: range
) -> PredictingLabel:
    """A label of one neuron that says what the positive side of another, or of itself, does."""
    rng = np.random.default_rng(index)
    found = []
    for number in windows:
        window = corpus[number]
        line = subject.read_rows([window.token_ids], {HOOK: [said]})[0, 0]
        predicted = np.maximum(0, line + rng.normal(0, 0.02, len(line)))
        text = WindowText(window.document, window.offset, window.token_ids)
        found.append(PredictedWindow(text, 1.0 + number % 3, tuple(predicted.tolist())))
    label = make_label(UnitId(subject.name, HOOK, index), Side.POSITIVE)
    return PredictingLabel(label, tuple(found))


@pytest.fixture(scope="module")
def labels(subject: SubjectModel, corpus: TokenCorpus) -> list[PredictingLabel]:
    """Two of their own neuron and one of another's, on windows that they share in part."""
    n = corpus.n_windows
    parts = range(0, n, 2), range(0, n, 3), range(1, n, 2)
    pairs = (3, 3), (9, 9), (4, 5)
    return [
        saying(subject, corpus, index, said, windows=windows)
        for (index, said), windows in zip(pairs, parts, strict=True)
    ]


def test_a_unit_is_surely_the_best_for_what_is_said_of_it_and_not_for_what_is_said_of_another(
    subject: SubjectModel, labels: list[PredictingLabel]
) -> None:
    first, second, other = rank_labels(subject, labels, seed=0, progress=SilentProgress())
    for one, label in ((first, labels[0]), (second, labels[1])):
        assert (one.rank, one.n_windows) == (1, len(label.windows))
        assert one.n_documents == len({w.text.document for w in label.windows})
        assert one.is_surely_best
        assert one.sentence.startswith("surely the best of 64 units of its layer")
        assert one.margin is not None
        assert one.margin > 0.2
    assert other.other == UnitId(subject.name, HOOK, 5)
    assert other.rivals == (other.other,)
    assert other.is_surely_not_best
    assert "1:5 follows it more closely" in other.sentence
    assert "behind 1:5 by" in other.sentence


def test_ranks_are_the_same_where_the_text_is_read_in_several_parts(
    subject: SubjectModel, labels: list[PredictingLabel]
) -> None:
    whole = list(rank_labels(subject, labels, seed=0, progress=SilentProgress()))
    most = 4 * 64 * max(n_tokens_read(subject, [one]) for one in labels)
    parts = list(rank_labels(subject, labels, seed=0, progress=SilentProgress(), most_bytes=most))
    for one, again in zip(whole, parts, strict=True):
        assert (one.rank, one.other, one.rivals) == (again.rank, again.other, again.rivals)
        assert (one.own, one.margin) == pytest.approx((again.own, again.margin), abs=1e-5)
    with pytest.raises(InputError, match="label with fewer windows of held-out text"):
        list(rank_labels(subject, labels, seed=0, progress=SilentProgress(), most_bytes=most // 2))


def test_another_seed_deals_documents_out_otherwise_and_leaves_the_rank(
    subject: SubjectModel, labels: list[PredictingLabel]
) -> None:
    some = [
        next(rank_labels(subject, labels, seed=seed, progress=SilentProgress()))
        for seed in range(4)
    ]
    assert len({one.margin for one in some}) > 1
    assert len({(one.rank, one.other) for one in some}) == 1
    assert [one.own for one in some] == pytest.approx([some[0].own] * len(some), abs=1e-6)


def test_what_it_costs_counts_each_window_once(
    subject: SubjectModel, labels: list[PredictingLabel]
) -> None:
    cost = ranking_cost(subject, labels)
    texts = set().union(*(one.texts for one in labels))
    n_tokens = sum(len(text.token_ids) for text in texts)
    assert (cost.n_labels, cost.n_tokens) == (3, n_tokens)
    assert cost.n_bytes == 4 * 64 * n_tokens
    assert 0 < cost.seconds < 60
    without = PredictingLabel(labels[0].label, ())
    assert ranking_cost(subject, [without]).seconds == 0
    [one] = rank_labels(subject, [without], seed=0, progress=SilentProgress())
    assert one.sentence == "no rank: fewer than 2 windows have predictions that fit the text"
