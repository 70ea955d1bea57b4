"""Versioned prompts, loaded by name and rendered strictly."""

from autointerp.templates.loader import Template, check_prompts, load_template

__all__ = ["Template", "check_prompts", "load_template"]
