"""Which units carry a labelled feature: ranking, sparse probes, exact search. Matrices alone."""

__all__: list[str] = []
