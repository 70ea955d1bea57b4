"""Features of words and of whole documents."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.corpora.features.feature import Feature, Labeller
from autointerp.corpora.features.token_labels import (
    HARD,
    NEGATIVE,
    POSITIVE,
    Span,
    TokenLabels,
    labels_of_spans,
    unlabelled,
)
from autointerp.corpora.features.tokenized_text import TokenizedText
from autointerp.corpora.languages import language_of

_WORD = re.compile(r"[^\W\d_]+")
_PAIR = re.compile(r"(?<![\w-])([A-Za-z]{2,}) (?=([A-Za-z]{2,})(?![\w-]))")
_PERHAPS_PAIR = re.compile(r"([A-Za-z]{2,})[\s\-\u2010-\u2014]+(?=([A-Za-z]{2,}))")
"""The same over a line's end, or with a hyphen: New York-based."""
_LEAST_PAIRS = 4
"""Times that a compound is in the text, at least."""
_MOST_COMPOUNDS = 200
_LEAST_TOGETHER = 4.0
"""Natural logarithm of how many times as often as by chance the two words stand together."""


def word_features() -> tuple[Feature, ...]:
    """All of them."""
    return (
        Feature.of(
            "first-piece",
            "the first token of a word of letters that is split into several",
            "words of one token",
            _first_piece,
            corpus="wiki",
        ),
        Feature.of(
            "second-piece",
            "the second token of a word of letters",
            "the first token of a split word, and its third and later ones",
            _second_piece,
            corpus="wiki",
        ),
        Feature.of(
            "duplicated-token",
            "tokens that stand earlier in the window too",
            "the first time of a token that comes again in the window",
            _duplicated,
            corpus="wiki",
        ),
        Feature(
            "compound",
            "the second word of pairs that stand together far more often than by chance",
            "the same words behind others",
            _compounds,
        ),
    )


def compound_feature(words: str) -> Feature:
    """The second of two words where it stands behind the first.

    Raises:
        InputError: not two words.
    """
    pair = tuple(words.lower().split())
    if len(pair) != 2:
        raise InputError(
            f"compound:{words} names {len(pair)} words; write two, such as compound:social security"
        )
    return Feature.of(
        f"compound:{' '.join(pair)}",
        f"the last token of {shortened(pair[1])} behind {shortened(pair[0])}",
        "the same word behind others",
        lambda text: _second_words(text, {(pair[0], pair[1])}),
        corpus="wiki",
    )


def language_feature(name: str) -> Feature:
    """Tokens of documents in a language, as `corpora.languages` tells it: German."""
    return Feature.of(
        f"language:{name}",
        f"every token of documents in {name}",
        "",
        lambda text: unlabelled(
            text, POSITIVE if language_of(text.text).lower() == name.lower() else NEGATIVE
        ),
        corpus="wiki",
    )


def corpus_feature(name: str) -> Feature:
    """Tokens of one corpus of a mixture."""

    def prepare(texts: Sequence[TokenizedText]) -> Labeller:
        there = dict.fromkeys(text.corpus for text in texts)
        if name not in there:
            raise InputError(
                f"corpus:{name} is not one of the corpora read ({', '.join(there)}); name it in "
                f"--corpus, such as --corpus wiki=0.5,{name}=0.5"
            )
        return lambda text: unlabelled(text, POSITIVE if text.corpus == name else NEGATIVE)

    mixture = "wiki=0.5,python=0.5" if name in {"wiki", "python"} else f"wiki=0.5,{name}=0.5"
    return Feature(f"corpus:{name}", f"every token of the corpus {name}", "", prepare, mixture)


def _pieces(text: TokenizedText) -> Iterator[range]:
    """The tokens of each word of letters."""
    for match in _WORD.finditer(text.text):
        tokens = text.tokens_of(*match.span())
        if tokens:
            yield tokens


def _first_piece(text: TokenizedText) -> TokenLabels:
    labels = unlabelled(text, NEGATIVE)
    for tokens in _pieces(text):
        labels.classes[tokens[0]] = POSITIVE if len(tokens) > 1 else HARD
    return labels


def _second_piece(text: TokenizedText) -> TokenLabels:
    labels = unlabelled(text, NEGATIVE)
    for tokens in _pieces(text):
        if len(tokens) > 1:
            labels.classes[tokens.start : tokens.stop] = HARD
            labels.classes[tokens[1]] = POSITIVE
            labels.begins[tokens.start : tokens.stop] = tokens[0]
    return labels


def _duplicated(text: TokenizedText) -> TokenLabels:
    labels = unlabelled(text, NEGATIVE)
    for start in range(0, text.n_tokens, text.n_ctx):
        ids = text.ids[start : start + text.n_ctx].tolist()
        counts, seen = Counter(ids), set[int]()
        for place, token in enumerate(ids, start):
            if token in seen:
                labels.classes[place] = POSITIVE
            elif counts[token] > 1:
                labels.classes[place] = HARD
            seen.add(token)
    return labels


def _compounds(texts: Sequence[TokenizedText]) -> Labeller:
    """Those pairs of words whose pointwise mutual information is high enough, the highest first."""
    words, pairs = Counter[str](), Counter[tuple[str, str]]()
    for text in texts:
        words.update(word.lower() for word in re.findall(r"[A-Za-z]{2,}", text.text))
        pairs.update((a.lower(), b.lower()) for a, b in _PAIR.findall(text.text))
    total = max(1, words.total())
    together = {
        pair: math.log(n * total / (words[pair[0]] * words[pair[1]]))
        for pair, n in pairs.items()
        if n >= _LEAST_PAIRS
    }
    ranked = sorted(together, key=lambda pair: (-together[pair], pair))
    chosen = {pair for pair in ranked[:_MOST_COMPOUNDS] if together[pair] >= _LEAST_TOGETHER}
    return lambda text: _second_words(text, chosen)


def _second_words(text: TokenizedText, pairs: set[tuple[str, str]]) -> TokenLabels:
    seconds = {second for _, second in pairs}
    positive, hard, doubtful = list[Span](), list[Span](), list[Span]()
    sure, unsure = (
        {
            match.start(2): match.start(1)
            for match in regex.finditer(text.text)
            if (match[1].lower(), match[2].lower()) in pairs
        }
        for regex in (_PAIR, _PERHAPS_PAIR)
    )
    for match in re.finditer(r"[A-Za-z]{2,}", text.text):
        start, end = match.span()
        if start in sure:
            positive.append((start, end, sure[start]))
        elif start in unsure:
            doubtful.append((start, end))
        elif match[0].lower() in seconds:
            hard.append((start, end))
    return labels_of_spans(text, positive=positive, hard=hard, ignored=doubtful, at_end=True)
