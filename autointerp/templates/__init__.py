"""Versioned prompts, loaded by name and rendered strictly."""

from autointerp.templates.loader import Template, load_template, prompt_versions

__all__ = ["Template", "load_template", "prompt_versions"]
