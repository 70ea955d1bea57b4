"""Text sources, cut into windows of tokens and split by document."""

from autointerp.corpora.corpus import TokenCorpus
from autointerp.corpora.loading import load_corpus

__all__ = ["TokenCorpus", "load_corpus"]
