"""Simulation scorers: an LLM that sees only the explanation predicts the activations."""

__all__: list[str] = []
