"""The packaged model, converted once for all processes that test, and caches that hold it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_CONVERT = (
    "import pathlib, sys; from autointerp.subjects import load_subject;"
    "load_subject('smollm2-135m', device='cpu', cache_dir=pathlib.Path(sys.argv[1]))"
)


@dataclass(frozen=True)
class Conversion:
    """A cache folder with the packaged model in it, and what its first loading printed."""

    cache_dir: Path
    printed: str


def converted_once(factory: pytest.TempPathFactory) -> Conversion:
    """Made by whoever asks first, while the others wait: it takes as long as dozens of tests."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    cache_dir, printed = folder / "packaged", folder / "packaged.txt"
    with (folder / "packaged.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            text = _convert(cache_dir)
            printed.write_text(text)
    return Conversion(cache_dir, printed.read_text())


def cache_with_it(factory: pytest.TempPathFactory) -> Path:
    """A new cache folder with the model alone in it: what this user has, or else is made once."""
    from autointerp.core.files import SMOLLM2_GGUF
    from autointerp.settings import Settings
    from autointerp.subjects.gguf import converted_folder

    path = SMOLLM2_GGUF.locate()
    there = converted_folder(path, Settings().cache_dir)
    there = there or converted_folder(path, converted_once(factory).cache_dir)
    assert there is not None
    folder = factory.mktemp("cache")
    (folder / "subjects").mkdir()
    (folder / "subjects" / there.name).symlink_to(there)
    return folder


def _convert(cache_dir: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", _CONVERT, str(cache_dir)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr
