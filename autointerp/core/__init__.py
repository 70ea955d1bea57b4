"""Values and errors: the standard library and pydantic only."""

VERSION = "0.1.0"
"""The package's version."""
