"""The one place that builds concrete parts: subjects, corpora, LLMs, explainers, scorers."""

__all__: list[str] = []
