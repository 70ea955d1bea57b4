"""Labelled texts as windows of tokens with a class each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.seeds import derive_seed
from autointerp.core.text import TextTokenizer, document_id
from autointerp.corpora.corpus_loading import valid_text
from autointerp.corpora.document_windows import WindowPool, cut_document
from autointerp.corpora.features.example_files import Example, refuse_other_labels
from autointerp.corpora.features.labelled_corpus import LabelledCorpus, put_classes
from autointerp.corpora.features.token_labels import (
    IGNORED,
    NEGATIVE,
    POSITIVE,
    TokenLabels,
    labels_of_spans,
    unlabelled,
)
from autointerp.corpora.features.tokenized_text import TokenizedText, tokenized
from autointerp.corpora.token_corpus import MIN_WINDOWS, TokenCorpus, build_corpus


@dataclass(frozen=True, slots=True, eq=False)
class _ReadExample:
    """One text, read."""

    example: Example
    classes: NDArray[np.int8]


def label_examples(
    examples: Sequence[Example], config: CorpusConfig, tokenizer: TextTokenizer
) -> LabelledCorpus:
    """The windows of the texts, as many as the tokens asked for.

    Raises:
        InputError: a text is labelled in two ways, or there are too few for a split by document.
    """
    order = np.random.default_rng(derive_seed(config.seed, "documents")).permutation(len(examples))
    pool, read, n_strange = WindowPool(config.n_tokens), dict[str, _ReadExample](), 0
    n_unread = 0
    for n_before, place in enumerate(order.tolist()):
        example = examples[place]
        document = document_id(example.text)
        if document in read:
            refuse_other_labels(read[document].example, example)
            continue
        text = tokenized(valid_text(example.text), tokenizer, n_ctx=config.n_ctx)
        if text is None or not text.n_tokens:
            n_strange += 1
            continue
        read[document] = _ReadExample(example, _labels(text, example).seen_in_windows(config.n_ctx))
        pool.add(
            cut_document(
                text.ids,
                document=document,
                source=example.where,
                n_ctx=config.n_ctx,
                seed=config.seed,
            )
        )
        if pool.is_full:
            n_unread = len(order) - n_before - 1
            break
    if not read:
        raise InputError(
            f"no text of {config.corpus} can be labelled: the tokenizer changes them, so that no "
            "token can be found in them"
        )
    corpus = _divided(pool, config, n_texts=len(read), has_more=n_unread > 0)
    notes = [f"{n_strange} texts are left out: their tokens do not spell them"] if n_strange else []
    if n_unread or corpus.n_tokens < pool.n_read:
        notes.append(
            f"--tokens {config.n_tokens} was reached: {n_unread:,} of {len(order):,} texts were "
            f"not read, and {corpus.n_tokens:,} of the {pool.n_read:,} tokens read are taken"
        )
    return LabelledCorpus(
        corpus=corpus,
        name=config.corpus,
        marks="what is labelled so",
        hard="",
        classes=_classes(corpus, read),
        notes=tuple(notes),
    )


def _divided(
    pool: WindowPool, config: CorpusConfig, *, n_texts: int, has_more: bool
) -> TokenCorpus:
    try:
        return build_corpus(pool.chosen(), config)
    except InputError as error:
        if has_more:
            raise
        raise InputError(
            f"{config.corpus}: {n_texts:,} different texts are too few. Each is put by chance "
            f"among those to learn from or those to test on, and a part got fewer than "
            f"{MIN_WINDOWS} windows; give more texts, 40 are enough"
        ) from error


def _labels(text: TokenizedText, example: Example) -> TokenLabels:
    if example.whole is not None:
        return unlabelled(text, POSITIVE if example.whole else NEGATIVE)
    return labels_of_spans(text, positive=example.positive, ignored=example.ignored)


def _classes(corpus: TokenCorpus, read: dict[str, _ReadExample]) -> NDArray[np.int8]:
    classes = np.full(corpus.n_tokens, IGNORED, dtype=np.int8)
    for window, place in enumerate(corpus.document_of.tolist()):
        of_text = read[corpus.documents[place]].classes
        put_classes(corpus, classes, [(window, int(corpus.offsets[window]))], of_text)
    classes.setflags(write=False)
    return classes
