"""Stored labels in memory: listed, filtered and searched."""

from autointerp.store.search.label_index import LabelIndex, LabelPage, LabelQuery

__all__ = ["LabelIndex", "LabelPage", "LabelQuery"]
