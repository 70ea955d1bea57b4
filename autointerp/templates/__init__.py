"""Versioned prompts, loaded by name and rendered strictly."""

from autointerp.templates.loader import Template, load_template

__all__ = ["Template", "load_template"]
