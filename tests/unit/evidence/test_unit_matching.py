"""Units of two models are matched on some documents, and every number is of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import (
    tiny_corpus,
    tiny_gpt2,
    tiny_llama,
    tiny_subject,
    tiny_texts,
    tiny_tokenizer,
    write_texts,
)
from transformers import GPT2LMHeadModel

from autointerp.core.characters import join_tokens
from autointerp.core.errors import InputError
from autointerp.core.unit_matches import is_alike, match_tally
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.evidence.aligned_texts import AlignedText, TextPairs, token_ends
from autointerp.evidence.paired_batches import MatchedSide, PairedBatch, read_together
from autointerp.evidence.unit_matching import match_sides
from autointerp.subjects import SubjectModel, parse_units, wrap_subject


def _shuffled_gpt2(*, sign: float = 1.0) -> GPT2LMHeadModel:
    """The tiny GPT-2 with the neurons of layer 0 in another order, the model else the same."""
    model = tiny_gpt2()
    mlp = model.transformer.h[0].mlp
    n = mlp.c_fc.weight.shape[1]
    order = torch.from_numpy(np.random.default_rng(3).permutation(n))
    with torch.no_grad():
        mlp.c_fc.weight.copy_(sign * mlp.c_fc.weight[:, order])
        mlp.c_fc.bias.copy_(sign * mlp.c_fc.bias[order])
        mlp.c_proj.weight.copy_(mlp.c_proj.weight[order])
    return model


def _order_of(model: GPT2LMHeadModel) -> list[int]:
    n = model.transformer.h[0].mlp.c_fc.weight.shape[1]
    return np.random.default_rng(3).permutation(n).tolist()


def _side(subject: SubjectModel, units: str = "layer:0") -> MatchedSide:
    return MatchedSide(subject, parse_units(units, subject))


@pytest.fixture(scope="module")
def first() -> SubjectModel:
    return tiny_subject(tiny_gpt2(), name="first")


@pytest.fixture(scope="module")
def corpus(first: SubjectModel, tmp_path_factory: pytest.TempPathFactory) -> TokenCorpus:
    return tiny_corpus(tmp_path_factory.mktemp("corpus"), first, n_tokens=4000)


def test_neurons_in_another_order_are_found_again(first: SubjectModel, corpus: TokenCorpus) -> None:
    model = _shuffled_gpt2()
    second = tiny_subject(model, name="second")
    report = match_sides(_side(first), _side(second), corpus)
    assert report.n_documents >= 16
    back = [one.match.index for one in report.of_second if one.match is not None]
    assert back == _order_of(model)
    for one in (*report.of_first, *report.of_second):
        assert one.correlation == pytest.approx(1, abs=1e-5)
        assert one.explained == pytest.approx(1, abs=1e-4)
        assert one.mutual
        assert is_alike(one)
        assert one.chance is not None
        assert abs(one.chance) < 0.5


def test_numbers_are_those_of_numpy_on_held_out_text(
    first: SubjectModel, corpus: TokenCorpus
) -> None:
    report = match_sides(_side(first, "0:0-9"), _side(first, "layer:1"), corpus, n_several=3)
    windows = range(corpus.ends[1], corpus.ends[2])
    rows = [corpus[w].token_ids for w in windows]

    def read(layer: int) -> np.ndarray:
        hook = f"blocks.{layer}.mlp.hook_post"
        parts = [
            first.read_rows([row], {hook: range(first.width(hook))})[0].T.astype(float)
            for row in rows
        ]
        return np.concatenate(parts)

    own, other = read(0), read(1)
    assert report.n_tested_tokens == len(own)
    for one in report.of_first:
        assert one.match is not None
        known = np.corrcoef(own[:, one.unit.index], other[:, one.match.index])[0, 1]
        assert one.correlation == pytest.approx(known, abs=1e-4)
        assert one.low is not None
        assert one.high is not None
        assert one.low <= known <= one.high


def test_an_opposite_is_a_match_only_where_signs_mean_nothing(
    first: SubjectModel, corpus: TokenCorpus
) -> None:
    model = _shuffled_gpt2(sign=-1.0)
    second = tiny_subject(model, name="second")
    hook = "blocks.0.mlp.hook_pre"
    ordinary = match_sides(_side(first, f"{hook}:0-63"), _side(second, f"{hook}:0-63"), corpus)
    assert all(one.correlation is None or one.correlation > -0.2 for one in ordinary.of_second)
    llama = tiny_subject(tiny_llama(), name="llama")
    turned = tiny_llama()
    with torch.no_grad():
        turned.model.layers[0].mlp.up_proj.weight.mul_(-1)
        turned.model.layers[0].mlp.down_proj.weight.mul_(-1)
    report = match_sides(_side(llama), _side(tiny_subject(turned, name="turned")), corpus)
    for one in report.of_first:
        assert one.match is not None
        assert one.match.index == one.unit.index
        assert one.correlation == pytest.approx(-1, abs=1e-5)
        assert one.high is not None
        assert one.low is not None
        assert one.low <= one.high < -0.5
        assert one.explained == pytest.approx(1, abs=1e-4)


def test_a_unit_that_never_varies_has_no_match(first: SubjectModel, corpus: TokenCorpus) -> None:
    model = tiny_gpt2()
    with torch.no_grad():
        model.transformer.h[0].mlp.c_fc.weight[:, 2] = 0
        model.transformer.h[0].mlp.c_fc.bias[2] = 0
    report = match_sides(_side(tiny_subject(model, name="dead")), _side(first), corpus)
    dead = report.of_first[2]
    assert dead.match is None
    assert dead.correlation is None
    assert dead.explained is None
    assert not dead.mutual
    assert all(one.match is None or one.match.index != 2 for one in report.of_second)
    assert match_tally(report.of_first).n_tested == match_tally(report.of_first).n_units - 1


def test_unrelated_models_are_no_more_alike_than_chance(
    first: SubjectModel, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(11)
    model = tiny_gpt2()
    with torch.no_grad():
        model.transformer.h[0].mlp.c_fc.weight.normal_(0, 0.4, generator=generator)
        model.transformer.wte.weight.normal_(0, 0.4, generator=generator)
    corpus = load_corpus(
        str(write_texts(tmp_path, tiny_texts(120, n_words=40))), first, n_tokens=4000, n_ctx=8
    )
    report = match_sides(_side(first), _side(tiny_subject(model, name="other")), corpus)
    # Tokens are the same, so that some likeness stays; far from all of it.
    tally = match_tally(report.of_first)
    assert tally.median_correlation is not None
    assert tally.median_correlation < 0.9
    assert tally.median_chance is not None
    assert tally.median_chance < tally.median_correlation


@pytest.mark.parametrize("n_ctx", [2, 64, 100, 4096])
def test_long_windows_are_read_fewer_at_a_time_and_each_once(n_ctx: int) -> None:
    parts = list(read_together(range(5, 78), n_ctx))
    assert sorted(window for part in parts for window in part) == list(range(5, 78))
    # Two at least, so that each stands beside another.
    assert all(len(part) in {2, 3} or len(part) * n_ctx <= 2048 for part in parts)
    assert min(map(len, parts)) >= 2


def test_by_chance_a_window_stands_beside_one_of_another_document(first: SubjectModel) -> None:
    documents = (0, 0, 0, 1, 1, 2)
    texts = [
        AlignedText(n, document, (n + 1, n + 2), (n + 1, n + 2), np.arange(2), np.arange(2))
        for n, document in enumerate(documents)
    ]
    batch = PairedBatch.of(texts, (_side(first), _side(first)))
    own, other = batch.sides[0].reshape(6, 2, -1), batch.apart[1].reshape(6, 2, -1)
    # Three on, as the longest document is three windows long.
    assert np.array_equal(other, own[[3, 4, 5, 0, 1, 2]])
    assert batch.apart_documents.tolist() == np.repeat(documents, 2).tolist()
    alone = PairedBatch.of(texts[:3], (_side(first), _side(first)))
    assert len(alone.apart[0]) == len(alone.apart[1]) == len(alone.apart_documents) == 0


def test_too_many_units_are_refused(first: SubjectModel, corpus: TokenCorpus) -> None:
    many = MatchedSide(first, parse_units("layer:0", first) * 400)
    with pytest.raises(InputError, match=r"at most 5,792 of either model .* name one layer"):
        match_sides(many, many, corpus)


def test_models_with_other_tokenizers_are_compared_where_tokens_end_together(
    first: SubjectModel, corpus: TokenCorpus
) -> None:
    other = wrap_subject(
        tiny_gpt2(), tiny_tokenizer(("the", "river", "stones", "Ã©")), name="other", device="cpu"
    )
    pairs = TextPairs(first, other, corpus)
    assert not pairs.same_tokens
    texts = list(pairs.read(range(60)))
    assert len(texts) == 60
    for text in texts:
        for own, there in zip(text.at_first, text.at_second, strict=True):
            one = join_tokens(first.tokenizer.pieces(text.first[: own + 1]))
            assert one == join_tokens(other.tokenizer.pieces(text.second[: there + 1]))
        assert len(text.at_first) > len(text.first) // 2
    report = match_sides(_side(first), _side(other), corpus)
    assert report.notes == (
        "the two models split text differently: only tokens that end together count",
    )
    assert (
        0
        < report.n_tested_tokens
        < sum(len(corpus[w].token_ids) for w in range(corpus.ends[1], corpus.ends[2]))
    )


def test_parts_of_characters_end_nowhere(first: SubjectModel) -> None:
    other = wrap_subject(tiny_gpt2(), tiny_tokenizer(("Ã©", "the")), name="other", device="cpu")
    whole, parts = other.tokenizer.encode("é the"), first.tokenizer.encode("é the")
    assert len(parts) == len(whole) + 1
    text, ends = token_ends(first.tokenizer, parts)
    assert text == "é the"
    assert ends.tolist() == [-1, 1, 5]
