"""Text sources, cut into windows of tokens and split by document."""

from autointerp.corpora.corpus_loading import load_corpus
from autointerp.corpora.sources import check_corpus
from autointerp.corpora.token_corpus import TokenCorpus

__all__ = ["TokenCorpus", "check_corpus", "load_corpus"]
