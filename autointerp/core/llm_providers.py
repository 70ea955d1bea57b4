"""LLM endpoints by alias: what a submitted job may name in place of an address."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from autointerp.core.addresses import base_address, checked_address, with_scheme
from autointerp.core.errors import InputError, first_problem
from autointerp.core.files import read_given
from autointerp.core.json_text import parse_json

DEFAULT = "default"
"""Alias of the endpoint that the settings name."""


class Provider(BaseModel):
    """One endpoint. The file that lists them is ``{"ALIAS": {"base_url": ..., ...}, ...}``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = Field(repr=False)
    models: tuple[str, ...] = Field(default=(), max_length=1000)
    """Models that a job may name; the first is used where it names none. Empty for any."""
    key_env: str | None = None
    """Name of the environment variable that holds the key; None where none is needed."""
    max_in_flight: int | None = Field(default=None, ge=1)
    """Requests open at one time, of all workers together."""
    rpm: int | None = Field(default=None, ge=1)
    """Requests a minute, of all workers together."""
    tpm: int | None = Field(default=None, ge=1)
    """Tokens a minute, of all workers together."""

    @field_validator("base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        whole = with_scheme(base_address(value))
        checked_address(whole, ("http", "https"), "https://host/v1")
        return whole

    def model_for(self, name: str | None) -> str | None:
        """The model that is used where a job names this one, or none.

        Raises:
            InputError: the endpoint's list has no such model.
        """
        if name is None or not self.models or name in self.models:
            return name or (self.models[0] if self.models else None)
        raise InputError(f"unknown model {name!r} of this llm; it has {', '.join(self.models)}")


_FILE = TypeAdapter(dict[str, Provider])


def read_providers(path: Path) -> dict[str, Provider]:
    """The providers in a JSON file.

    Raises:
        InputError: it cannot be read, or has another form.
    """
    data = read_given(path, what="the file of AUTOINTERP_PROVIDERS")
    try:
        return _FILE.validate_python(parse_json(data))
    except ValueError as error:
        cause = first_problem(error) if isinstance(error, ValidationError) else str(error)
        msg = f"AUTOINTERP_PROVIDERS names {path}, which cannot be used: {cause}"
        raise InputError(msg) from error
