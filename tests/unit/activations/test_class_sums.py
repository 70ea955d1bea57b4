"""Sums of units by the class of tokens, in one pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_subject, tiny_texts, write_texts

from autointerp.activations.class_sums import (
    sum_by_class,
    sums_by_device_operations,
    sums_of_features,
)
from autointerp.activations.kernels.encoding import signed_edges
from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.corpora.features import LabelledCorpus, label_corpora, label_corpus, regex_feature
from autointerp.statistics.probing.class_histograms import ClassHistograms, merge_class_histograms
from autointerp.subjects import HookUnits, SubjectModel, all_neurons


@pytest.fixture(scope="module")
def subject() -> SubjectModel:
    return tiny_subject()


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> CorpusConfig:
    folder = write_texts(tmp_path_factory.mktemp("texts"), tiny_texts(60, n_words=40))
    return CorpusConfig(corpus=str(folder), n_tokens=1500, n_ctx=13)


@pytest.fixture(scope="module")
def labelled(texts: CorpusConfig, subject: SubjectModel) -> LabelledCorpus:
    return label_corpus(texts, regex_feature("river|stones"), subject.tokenizer)


def _by_hand(
    subject: SubjectModel, labelled: LabelledCorpus, units: HookUnits, windows: range
) -> ClassHistograms:
    """Every activation of these windows, in float64."""
    rows, classes = [], []
    for window in windows:
        ids = labelled.corpus[window].token_ids
        rows.append(subject.read_rows([ids], {units.hook: units.indices})[0].T)
        classes.append(labelled.classes_of(range(window, window + 1)))
    values, own = np.concatenate(rows), np.concatenate(classes)
    return ClassHistograms.of(values[own >= 0], (own == 1)[own >= 0], signed_edges()[1:-1])


def test_sums_are_those_of_every_activation_and_merge(
    subject: SubjectModel, labelled: LabelledCorpus
) -> None:
    units = [*all_neurons(subject)[:2], HookUnits("blocks.2.mlp.hook_post", (1, 7, 20))]
    whole = sum_by_class(subject, labelled, units, labelled.train, batch_windows=7)
    parts = [
        sum_by_class(subject, labelled, units, windows, batch_windows=3)
        for windows in (range(40, labelled.train.stop), range(40))
    ]
    for group in units:
        merged = merge_class_histograms([part[group.hook] for part in parts])
        expected = _by_hand(subject, labelled, group, labelled.train)
        for found in (whole[group.hook], merged):
            assert found.n_examples.tolist() == expected.n_examples.tolist()
            np.testing.assert_allclose(found.sums, expected.sums, rtol=2e-4, atol=2e-4)
            np.testing.assert_allclose(found.squares, expected.squares, rtol=2e-4)
            # Another batch's last bits may be on the other side of an edge.
            moved = np.abs(found.counts - expected.counts).sum()
            assert moved <= 1e-3 * expected.counts.sum()


def test_several_features_are_summed_in_one_pass_as_each_alone(
    subject: SubjectModel, texts: CorpusConfig
) -> None:
    features = [regex_feature(word) for word in ("river|stones", "under")]
    labelled = label_corpora(texts, features, subject.tokenizer)
    units = all_neurons(subject)[:1]
    together = sums_of_features(subject, labelled, units, labelled[0].train)
    for one, found in zip(labelled, together, strict=True):
        alone = sum_by_class(subject, one, units, one.train)[units[0].hook]
        assert (found[units[0].hook].counts == alone.counts).all()
        assert (found[units[0].hook].sums == alone.sums).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_accelerator_computes_the_same_sums(dtype: torch.dtype) -> None:
    from autointerp.activations.class_sums import _CpuSums

    generator = torch.Generator().manual_seed(0)
    acts = torch.randn((5, 11, 130), generator=generator).to(dtype) * 3
    acts[0, 0, 0], acts[1, 1, 1] = 0.0, -0.0
    places = [torch.tensor([0, 1, 2, 9, 12, 30, 54]), torch.tensor([3, 13])]
    cpu = _CpuSums(130)
    # Positions of BOS are cut off, so that windows do not lie one behind the other.
    cpu.add(torch.nn.functional.pad(acts, (0, 0, 1, 0))[:, 1:], places)
    found, expected = cpu.result(), sums_by_device_operations(acts, places)
    assert (found.counts == expected.counts).all()
    assert found.counts.sum(axis=2).tolist() == [[7] * 130, [2] * 130]
    np.testing.assert_allclose(found.sums, expected.sums, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.squares, expected.squares, rtol=1e-12)


def test_more_tokens_than_pending_counts_hold_are_counted() -> None:
    from autointerp.activations.class_sums import _CpuSums

    sums, acts = _CpuSums(3), torch.ones((10, 5000, 3))
    for _ in range(3):
        sums.add(acts, [torch.arange(0, 50_000), torch.arange(0)])
    found = sums.result()
    assert found.counts.max() == found.n_examples[0] == found.sums[0, 0] == 150_000


def test_an_activation_that_is_no_number_names_its_unit(
    subject: SubjectModel, labelled: LabelledCorpus
) -> None:
    class Broken(SubjectModel):
        def __init__(self) -> None:
            self.device, self.check_indices = subject.device, subject.check_indices  # type: ignore[method-assign]

        def read(self, tokens, hooks, receive) -> None:  # type: ignore[no-untyped-def,override]
            acts = torch.zeros((*tokens.shape, 24))
            acts[:, :, 5] = torch.nan
            receive(hooks[0], acts)

    units = all_neurons(subject)[:1]
    with pytest.raises(InputError, match=r"unit 5 of blocks.0.mlp.hook_post has an activation"):
        sum_by_class(Broken(), labelled, units, labelled.train)
