"""What is looked for in a model, as it is asked: a feature, a pattern, texts or a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError, first_problem
from autointerp.core.progress import Progress
from autointerp.core.text import TextTokenizer
from autointerp.corpora import check_corpus
from autointerp.corpora.features import (
    Feature,
    LabelledCorpus,
    feature_named,
    label_corpus,
    label_examples,
    read_dataset,
    read_examples,
    regex_feature,
)


@dataclass(frozen=True, slots=True)
class LookedFor:
    """What is looked for; one of the four ways to say it."""

    feature: Feature | str | None = None
    """A feature, or the name of a ready one."""
    regex: str | None = None
    """A regular expression: tokens that overlap a match."""
    positive: Path | None = None
    """Texts with the feature, one a line; `negative` likewise without it."""
    negative: Path | None = None
    dataset: Path | None = None
    """JSON lines of texts with labels."""

    @property
    def is_given(self) -> bool:
        """Whether it brings its own texts."""
        return not (self.feature or self.regex)


Labelling = Callable[[CorpusConfig, TextTokenizer, Progress], LabelledCorpus]


def labelling_of(looked_for: LookedFor, corpus: str | None) -> tuple[str, Labelling]:
    """The name of the text and what labels it; all is read that needs no tokenizer.

    Raises:
        InputError: nothing, or more than one thing, is looked for; or it cannot be read.
    """
    ways = {
        "--feature": looked_for.feature,
        "--regex": looked_for.regex,
        "--positive with --negative": looked_for.positive or looked_for.negative,
        "--dataset": looked_for.dataset,
    }
    there = [way for way, value in ways.items() if value]
    if len(there) != 1:
        found = " and ".join(there) if there else "none of them"
        raise InputError(f"what is looked for? Give one of {', '.join(ways)}; found {found}")
    if not looked_for.is_given:
        feature = _feature(looked_for)
        text = corpus or feature.corpus
        check_corpus(text)
        return text, lambda config, tokenizer, progress: label_corpus(
            config, feature, tokenizer, progress=progress
        )
    if corpus is not None:
        raise InputError(f"{there[0]} brings its own text; leave --corpus {corpus} out")
    if looked_for.dataset is not None:
        examples, name = read_dataset(looked_for.dataset), looked_for.dataset.name
    elif looked_for.positive is None or looked_for.negative is None:
        other = "--negative" if looked_for.negative is None else "--positive"
        raise InputError(f"texts of one class were given only; add {other} FILE with the others")
    else:
        examples = read_examples(looked_for.positive, looked_for.negative)
        name = f"{looked_for.positive.name} and {looked_for.negative.name}"
    return name, lambda config, tokenizer, _progress: label_examples(examples, config, tokenizer)


def _feature(looked_for: LookedFor) -> Feature:
    if isinstance(looked_for.feature, Feature):
        return looked_for.feature
    if looked_for.feature:
        return feature_named(looked_for.feature)
    return regex_feature(looked_for.regex or "")


def config_of(
    looked_for: LookedFor, text: str, n_tokens: int, n_ctx: int, seed: int
) -> CorpusConfig:
    """How much of the text is read, and how it is divided.

    Raises:
        InputError: a size that no text can have.
    """
    # Given texts are few: each part gets enough of them to say something.
    shares = {"explain": 0.3, "validation": 0.3} if looked_for.is_given else {}
    try:
        return CorpusConfig(corpus=text, n_tokens=n_tokens, n_ctx=n_ctx, seed=seed, **shares)
    except ValidationError as error:
        raise InputError(first_problem(error, whole="the text")) from error
