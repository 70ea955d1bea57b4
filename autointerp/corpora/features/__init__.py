"""What a feature is on text: which tokens carry it, which do not, and which are left out."""

from autointerp.corpora.features.example_files import (
    Example,
    given_examples,
    given_texts,
    read_dataset,
    read_examples,
)
from autointerp.corpora.features.feature import Feature
from autointerp.corpora.features.labelled_corpus import LabelledCorpus, label_corpora, label_corpus
from autointerp.corpora.features.labelled_examples import label_examples
from autointerp.corpora.features.ready_features import feature_named, ready_features
from autointerp.corpora.features.text_features import regex_feature
from autointerp.corpora.features.token_labels import HARD, IGNORED, NEGATIVE, POSITIVE

__all__ = [
    "HARD",
    "IGNORED",
    "NEGATIVE",
    "POSITIVE",
    "Example",
    "Feature",
    "LabelledCorpus",
    "feature_named",
    "given_examples",
    "given_texts",
    "label_corpora",
    "label_corpus",
    "label_examples",
    "read_dataset",
    "read_examples",
    "ready_features",
    "regex_feature",
]
