"""Scores with intervals, from windows with predictions or from verdicts: numpy only, no LLM."""

__all__: list[str] = []
