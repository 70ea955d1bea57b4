from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import BANK, HOOK, MONTHS, N_CTX, planted_subject, planted_texts, rule
from tiny import write_texts

from autointerp.activations import read_windows
from autointerp.core.records import to_levels
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.subjects import SubjectModel


@pytest.fixture(scope="module")
def subject() -> SubjectModel:
    return planted_subject()


@pytest.fixture(scope="module")
def corpus(subject: SubjectModel, tmp_path_factory: pytest.TempPathFactory) -> TokenCorpus:
    folder: Path = tmp_path_factory.mktemp("planted")
    path = write_texts(folder, planted_texts(40))
    return load_corpus(str(path), subject, n_tokens=4096, n_ctx=N_CTX)


@pytest.mark.parametrize("neuron", range(5))
def test_a_planted_neuron_follows_its_rule(
    subject: SubjectModel, corpus: TokenCorpus, neuron: int
) -> None:
    found = read_windows(subject, corpus, {(HOOK, neuron): range(len(corpus))})
    n_active = 0
    for window in corpus:
        expected = np.array(rule(neuron, subject.tokenizer.pieces(window.token_ids)))
        np.testing.assert_allclose(found[HOOK, neuron, window.id], expected, atol=2e-5)
        assert ((found[HOOK, neuron, window.id] == 0) == (expected == 0)).all()
        n_active += int((expected > 0).sum())
    assert (n_active > 0) == (neuron != 3)


def test_the_planted_rules_are_levels_5_and_10_or_nothing(
    subject: SubjectModel, corpus: TokenCorpus
) -> None:
    for neuron in (0, 1, 2):
        found = read_windows(subject, corpus, {(HOOK, neuron): range(len(corpus))})
        peak = max(float(line.max()) for line in found.values())
        levels = {x for line in found.values() for x in to_levels(line.tolist(), peak=peak)}
        assert levels - {9} <= {0, 5, 10}
        assert 10 in levels


def test_the_bigram_needs_both_words_in_order() -> None:
    assert rule(1, [" Rhine", f" {BANK}"]) == [0.0, 1.0]
    assert rule(1, [f" {BANK}", " Rhine"]) == [0.0, 0.0]
    assert rule(1, [" Rhine", " wide", f" {BANK}"]) == [0.0, 0.0, 0.0]
    assert rule(0, [" the", f" {MONTHS[0]}", "Rhine"]) == [0.0, 1.0, 0.55]
    assert rule(2, [" the", " a", " of"]) == [1.0, 0.55, 0.0]
