"""Settings: the environment and ``.env``, read once by entry points and by nothing else."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from autointerp.core.addresses import (
    base_address,
    check_redis_address,
    checked_address,
    shown_address,
    with_scheme,
)
from autointerp.core.errors import InputError
from autointerp.core.files import read_given

_PREFIX = "AUTOINTERP_"
_OPENAI_KEY = "OPENAI_API_KEY"
_PHRASES = {
    "int_parsing": "it must be a whole number",
    "greater_than_equal": "it must be at least {ge}",
    "bool_parsing": "write 1 or 0",
    "string_pattern_mismatch": "write auto, cpu, mps, cuda or cuda:N",
}


def _default_cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "autointerp"


class Settings(BaseSettings):
    """What the environment decides; everything about *what* is computed is in `JobSpec`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    llm_base_url: str | None = Field(default=None, repr=False)
    """Base URL of an OpenAI-compatible endpoint; None where the embedded LLM is used."""
    llm_api_key: SecretStr | None = None
    """Key of that endpoint; ``OPENAI_API_KEY`` where ``AUTOINTERP_LLM_API_KEY`` is not set."""
    llm_headers: SecretStr = SecretStr("")
    """Headers for that endpoint, ``Name: value`` separated by semicolons; ``{key}`` is the key."""
    llm_model: str | None = None
    """Model to ask for at that endpoint."""
    llm_max_in_flight: int | None = Field(default=None, ge=1)
    """Requests open at one time; None leaves the choice to the kind of endpoint."""
    llm_rpm: int | None = Field(default=None, ge=1)
    """Requests a minute at most."""
    llm_tpm: int | None = Field(default=None, ge=1)
    """Tokens a minute at most, prompts and replies together."""
    redis_url: str | None = Field(default=None, repr=False)
    """``redis://``, ``rediss://`` or ``unix:///path/of/socket``."""
    store: str | None = Field(default=None, repr=False)
    """``json:DIR`` or ``redis://...``; None keeps labels in the run's folder."""
    artifacts: str | None = Field(default=None, repr=False)
    """Where large files go: any fsspec URL."""
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Keys that the server accepts, separated by commas: ``name:scopes:sha256`` or the key."""
    models: Annotated[tuple[str, ...], NoDecode] = ("smollm2-135m",)
    """Subject models that submitted jobs may name, separated by commas: ``NAME`` as on the
    command line, or ``NAME=FOLDER``."""
    corpora: Annotated[tuple[str, ...], NoDecode] = ("wiki", "python")
    """Corpora that submitted jobs may name."""
    folders: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders from which submitted jobs may name text files, encoders and directions."""
    rescored: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders of ``rescore --out`` whose pages the server shows, separated by commas."""
    providers: Path | None = None
    """JSON file of the LLM endpoints that submitted jobs may name: see `core.providers`."""
    data_dir: Path = Path("autointerp-data")
    """What ``serve --embedded`` keeps."""
    lease_s: float = Field(default=15.0, ge=1, le=600)
    """Seconds after which the work of a silent worker is given to another."""
    keep_jobs_days: float = Field(default=90.0, ge=0)
    """Days after which a job that has ended is forgotten, with what was collected for it alone;
    0 keeps them for good. Labels stay."""
    limits_units: int = Field(default=50_000, ge=1)
    """Units of one job."""
    limits_jobs: int = Field(default=100, ge=1)
    """Jobs that have not ended, of all callers."""
    limits_body: int = Field(default=1 << 20, ge=1)
    """Bytes of one request's body."""
    limits_text: int = Field(default=2_000, ge=1)
    """Tokens of a text for live activations."""
    server: str = "http://127.0.0.1:8000"
    """Address of the server that ``submit``, ``status`` and the like talk to."""
    api_key: SecretStr | None = None
    """Its key for them."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """``auto`` is CUDA where there is one, and the CPU otherwise."""
    cache_dir: Path = Field(default_factory=_default_cache_dir)
    """Converted models and replies of LLMs; safe to delete."""
    debug: bool = False
    """Show the traceback of a bug."""
    openai_api_key: SecretStr | None = Field(default=None, validation_alias=_OPENAI_KEY)

    @model_validator(mode="before")
    @classmethod
    def _fall_back_to_openai_key(cls, values: dict[str, Any]) -> dict[str, Any]:
        if not values.get("llm_api_key") and values.get(_OPENAI_KEY):
            return {**values, "llm_api_key": values[_OPENAI_KEY]}
        return values

    @field_validator("api_keys", "models", "corpora", "folders", "rescored", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(key.strip() for key in value.split(",") if key.strip())
        return value

    @field_validator("cache_dir", "data_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("llm_base_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is None:
            return None
        checked_address(
            with_scheme(base_address(value)), ("http", "https"), "http://127.0.0.1:8080/v1"
        )
        return base_address(value)

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str | None) -> str | None:
        return _redis_url(value, "redis://127.0.0.1:6379/0 or unix:///run/redis.sock")

    @field_validator("store")
    @classmethod
    def _is_store(cls, value: str | None) -> str | None:
        if value is None or (value.startswith("json:") and value != "json:"):
            return value
        return _redis_url(value, "json:DIR or redis://127.0.0.1:6379/0")

    def shown(self) -> dict[str, str | None]:
        """Every variable with its value, fit for eyes: keys and passwords are starred."""
        result: dict[str, str | None] = {}
        for name in type(self).model_fields:
            if name != "openai_api_key":
                result[_PREFIX + name.upper()] = _shown(getattr(self, name))
        return result


def read_settings(env_file: Path = Path(".env")) -> Settings:
    """The settings; a variable of the environment goes before the same one in the file.

    Raises:
        InputError: an ``AUTOINTERP_`` variable that does not exist, or a value that cannot be.
    """
    # Where it is a pipe, pydantic would wait for somebody who writes.
    known = env_file if env_file.is_file() else None
    try:
        text = read_given(env_file, what="the settings in").decode() if known else ""
    except UnicodeDecodeError as error:
        msg = f"{env_file} cannot be read as UTF-8 text ({error}); repair or remove it"
        raise InputError(msg) from error
    in_file = dotenv_values(stream=StringIO(text))
    _refuse_unknown({**in_file, **os.environ})
    try:
        return Settings(_env_file=known)  # type: ignore[call-arg]
    except ValidationError as error:
        raise InputError("; ".join(_sentence(e) for e in error.errors())) from error


def _shown(value: object) -> str | None:
    if value is None or value == ():
        return None
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return shown_address(value) if isinstance(value, str) else str(value)


def _redis_url(value: str | None, example: str) -> str | None:
    if value is not None:
        check_redis_address(value, example)
    return value


def _refuse_unknown(variables: Mapping[str, str | None]) -> None:
    known = sorted(name.upper() for name in Settings.model_fields if name != "openai_api_key")
    for name in sorted(variables):
        prefix, suffix = name[: len(_PREFIX)].upper(), name[len(_PREFIX) :].upper()
        if prefix == _PREFIX and suffix not in known:
            near = difflib.get_close_matches(suffix, known, n=1, cutoff=0)
            raise InputError(f"there is no setting {name}; did you mean {_PREFIX}{near[0]}?")


def _sentence(error: Any) -> str:
    name = _PREFIX + str(error["loc"][0]).upper()
    phrase = _PHRASES.get(error["type"])
    if phrase is None:
        return f"{name} cannot be used: {str(error['msg']).removeprefix('Value error, ')}"
    return f"{name} cannot be used: {phrase.format(**error.get('ctx', {}))}"
