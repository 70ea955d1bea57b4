"""Statistics of studies of labels: of layers, of seeds, of two models."""

__all__: list[str] = []
