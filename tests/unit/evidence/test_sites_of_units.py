"""The same neurons at the sites of an MLP, on the same text."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import tiny_corpus, tiny_gpt2, tiny_llama, tiny_subject

from autointerp.core.errors import InputError
from autointerp.corpora import TokenCorpus
from autointerp.evidence.sites_of_units import n_readings, sites_of, unit_sites
from autointerp.subjects import SubjectModel


@pytest.fixture(scope="module")
def relu() -> SubjectModel:
    return tiny_subject(tiny_gpt2(activation="relu"))


@pytest.fixture(scope="module")
def corpus(relu: SubjectModel, tmp_path_factory: pytest.TempPathFactory) -> TokenCorpus:
    return tiny_corpus(tmp_path_factory.mktemp("corpus"), relu, n_tokens=1500)


def _all_values(subject: SubjectModel, hook: str, index: int, corpus: TokenCorpus) -> np.ndarray:
    rows = [subject.read_rows([window.token_ids], {hook: [index]})[0, 0] for window in corpus]
    return np.concatenate(rows)


def test_a_gated_neuron_is_read_at_gate_factor_and_product(corpus: TokenCorpus) -> None:
    llama = tiny_subject(tiny_llama())
    (found,) = unit_sites(llama, 1, [5], corpus)
    kinds = [site.unit.hook.rpartition(".")[2] for site in found.sites]
    assert kinds == ["hook_pre", "hook_pre_linear", "hook_post"]
    values = [_all_values(llama, site.unit.hook, 5, corpus) for site in found.sites]
    for site, line in zip(found.sites, values, strict=True):
        assert site.largest == pytest.approx(line.max(), abs=1e-5)
        assert site.least == pytest.approx(line.min(), abs=1e-5)
        assert site.density == pytest.approx((line > 0).mean(), abs=0.002)
        assert site.strongest[0].value == pytest.approx(line.max(), abs=1e-5)
    expected = np.corrcoef(values)[np.triu_indices(3, 1)]
    assert [pair.correlation for pair in found.pairs] == pytest.approx(expected, abs=1e-4)
    assert found.n_tokens == corpus.n_tokens


def test_relu_keeps_the_strongest_texts_and_half_of_the_rest(
    relu: SubjectModel, corpus: TokenCorpus
) -> None:
    for found in unit_sites(relu, 0, range(8), corpus):
        (pair,) = found.pairs
        pre, post = found.sites
        assert post.least == 0
        assert post.largest == pytest.approx(max(pre.largest, 0), abs=1e-6)
        assert post.density == pytest.approx(pre.density, abs=1e-9)
        if pre.density > 0.2:
            assert pair.shared == 1
        assert pair.shared_by_chance < 0.2


def test_texts_are_of_different_documents_with_the_peak_marked(
    relu: SubjectModel, corpus: TokenCorpus
) -> None:
    (found,) = unit_sites(relu, 1, [3], corpus)
    for site in found.sites:
        documents = [corpus[text.window].document for text in site.strongest]
        assert len(set(documents)) == len(documents) == 3
        values = [text.value for text in site.strongest]
        assert values == sorted(values, reverse=True)
        for text in site.strongest:
            assert text.tokens == relu.tokenizer.pieces(corpus[text.window].token_ids)
            assert 0 <= text.peak < len(text.tokens)


def test_neurons_that_are_read_some_at_a_time_are_the_same(
    relu: SubjectModel, corpus: TokenCorpus
) -> None:
    two = 2 * 2 * corpus.n_tokens
    assert n_readings(relu, 0, 3, corpus, most_values=two) == 2
    some = unit_sites(relu, 0, range(3), corpus, most_values=two)
    assert some == unit_sites(relu, 0, range(3), corpus)


def test_a_neuron_or_layer_that_is_not_there_is_refused(
    relu: SubjectModel, corpus: TokenCorpus
) -> None:
    with pytest.raises(InputError, match=r"has the units 0 to 63"):
        unit_sites(relu, 0, [64], corpus)
    with pytest.raises(InputError, match="layer 9 of tiny can be read at no site, so there"):
        list(sites_of(relu, 9))
