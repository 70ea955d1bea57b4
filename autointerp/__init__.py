"""Scored natural-language explanations of every neuron of a language model."""

__version__ = "0.1.0"
