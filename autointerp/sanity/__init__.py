"""Which scores can be trusted: checks of metrics, and scores of what cannot be right."""

__all__: list[str] = []
