"""A corpus whose tokens carry a feature or do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.core.progress import Progress
from autointerp.core.text import Split, TextTokenizer
from autointerp.corpora.corpus_loading import load_corpus_texts
from autointerp.corpora.features.feature import Feature
from autointerp.corpora.features.token_labels import HARD, IGNORED, POSITIVE
from autointerp.corpora.features.tokenized_text import TokenizedText, tokenized
from autointerp.corpora.long_documents import LONG_DOCUMENT, part_at
from autointerp.corpora.token_corpus import TokenCorpus

_Places = list[tuple[int, int]]
"""Windows of a text, each with the position of its first token in that."""
LEAST = {"train": 16, "test": 8}
"""Tokens of either class that a probe needs: fewer say nothing of a share."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledCorpus:
    """Windows of tokens with a class each."""

    corpus: TokenCorpus
    name: str
    """Of the feature."""
    marks: str
    """What the positive tokens are, for people."""
    hard: str
    """What the hard negatives are; empty where there are none."""
    classes: NDArray[np.int8]
    """Of each token of `corpus.tokens`: -1 ignored, 0 negative, 1 positive, 2 hard negative."""
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was labelled."""

    @property
    def train(self) -> range:
        """Windows of which documents units are ranked and probes fitted: not those held out."""
        return range(self.corpus.ends[1])

    @property
    def test(self) -> range:
        """Windows of the documents that are held out."""
        return self.corpus.window_ids(Split.HELD_OUT)

    def classes_of(self, windows: range) -> NDArray[np.int8]:
        """The classes of the tokens of consecutive windows."""
        starts = self.corpus.starts
        return self.classes[starts[windows.start] : starts[windows.stop]]

    def counts(self, windows: range) -> Mapping[int, int]:
        """How many tokens have each class."""
        values, numbers = np.unique(self.classes_of(windows), return_counts=True)
        return dict(zip(values.tolist(), numbers.tolist(), strict=True))

    def check(self, more: str = "read more --tokens, another --corpus, or give more text") -> None:
        """Nothing, where there is enough of both classes; `more` says what gives more of them.

        Raises:
            InputError: a class is missing, or too few of its tokens are in either part.
        """
        everywhere = self.counts(range(self.corpus.n_windows))
        n_positive, n_all = everywhere.get(POSITIVE, 0), len(self.classes)
        n_negative = everywhere.get(0, 0) + everywhere.get(HARD, 0)
        if not n_positive or not n_negative:
            missing, whole = ("not one", "positive") if not n_positive else ("every", "negative")
            raise InputError(
                f"{self.name} is carried by {missing} of {n_all:,} tokens of "
                f"{shortened(self.corpus.id)}, so that there is no {whole} class; {more}, or "
                "change what is looked for"
            )
        for part, windows in (("train", self.train), ("test", self.test)):
            counts = self.counts(windows)
            n = {"positive": counts.get(POSITIVE, 0)}
            n["negative"] = counts.get(0, 0) + counts.get(HARD, 0)
            for which, number in n.items():
                if number < LEAST[part]:
                    raise InputError(
                        f"{self.name}: {number} {which} tokens in the documents to {part} on, and "
                        f"at least {LEAST[part]} are needed ({n_positive:,} of all {n_all:,} "
                        f"tokens are positive); {more}"
                    )


def label_corpus(
    config: CorpusConfig,
    feature: Feature,
    tokenizer: TextTokenizer,
    *,
    progress: Progress | None = None,
) -> LabelledCorpus:
    """The windows of a corpus with a class for every token.

    Raises:
        InputError: the corpus cannot be read, or the tokenizer does not spell its texts.
        UpstreamError: the Hugging Face hub could not be reached.
    """
    return label_corpora(config, [feature], tokenizer, progress=progress)[0]


def label_corpora(
    config: CorpusConfig,
    features: Sequence[Feature],
    tokenizer: TextTokenizer,
    *,
    progress: Progress | None = None,
) -> list[LabelledCorpus]:
    """As `label_corpus`, for several features of one text that is read once, in their order."""
    corpus, documents = load_corpus_texts(config, tokenizer, progress=progress)
    texts: list[tuple[TokenizedText, _Places]] = []
    n_strange = 0
    for text, part, places in _parts(corpus, documents):
        read = tokenized(text, tokenizer, n_ctx=corpus.n_ctx, corpus=part)
        if read is None:
            n_strange += len(places)
        else:
            texts.append((read, places))
    if not texts:
        raise InputError(
            f"the documents of {shortened(corpus.id)} cannot be labelled: the tokenizer changes "
            "their text, so that no token can be found in it"
        )
    left = f"{n_strange:,} windows are left out: their tokens do not spell the text"
    notes = (left,) if n_strange else ()
    return [_with_feature(corpus, feature, texts, notes) for feature in features]


def _with_feature(
    corpus: TokenCorpus,
    feature: Feature,
    texts: list[tuple[TokenizedText, _Places]],
    notes: tuple[str, ...],
) -> LabelledCorpus:
    classes, n_untold = _labelled(corpus, feature, texts)
    if n_untold:
        notes += (f"{n_untold:,} windows are left out: {feature.name} cannot be told there",)
    return LabelledCorpus(corpus, feature.name, feature.marks, feature.hard, classes, notes)


def _labelled(
    corpus: TokenCorpus, feature: Feature, texts: list[tuple[TokenizedText, _Places]]
) -> tuple[NDArray[np.int8], int]:
    label = feature.prepare([text for text, _ in texts])
    classes = np.full(corpus.n_tokens, IGNORED, dtype=np.int8)
    n_untold = 0
    for text, places in texts:
        labels = label(text)
        if labels is None:
            n_untold += len(places)
        else:
            put_classes(corpus, classes, places, labels.seen_in_windows(corpus.n_ctx))
    classes.setflags(write=False)
    return classes, n_untold


def put_classes(
    corpus: TokenCorpus,
    classes: NDArray[np.int8],
    places: _Places,
    of_text: NDArray[np.int8],
) -> None:
    """Writes the classes of a text's tokens to those of its windows."""
    for window, place in places:
        start, stop = corpus.starts[window], corpus.starts[window + 1]
        classes[start:stop] = of_text[place : place + (stop - start)]


def _parts(
    corpus: TokenCorpus, documents: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str, _Places]]:
    """Each text with windows, the name of its corpus, and those windows."""
    by_part: dict[tuple[str, str], _Places] = {}
    for window, number in enumerate(corpus.document_of.tolist()):
        text, name = documents[corpus.documents[number]]
        place = int(corpus.offsets[window])
        if len(text) > LONG_DOCUMENT:
            text, place = part_at(text, place)
        by_part.setdefault((text, name), []).append((window, place))
    for (text, name), places in by_part.items():
        yield text, name, places
