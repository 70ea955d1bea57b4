"""Values and errors: the standard library and pydantic only."""
