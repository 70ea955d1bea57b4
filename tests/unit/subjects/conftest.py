"""Subject models that the tests share, and the packaged one, converted once."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny import tiny_llama, tiny_subject, tiny_tokenizer

from autointerp.subjects import SubjectModel


@dataclass(frozen=True)
class Conversion:
    """A cache folder with the packaged model in it, and what its first loading printed."""

    cache_dir: Path
    printed: str


@pytest.fixture(scope="session")
def conversion(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    cache_dir = tmp_path_factory.mktemp("cache")
    code = (
        "import pathlib, sys; from autointerp.subjects import load_subject;"
        "load_subject('smollm2-135m', device='cpu', cache_dir=pathlib.Path(sys.argv[1]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(cache_dir)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert ended.returncode == 0, ended.stderr
    return Conversion(cache_dir, ended.stdout + ended.stderr)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in Hugging Face layout."""
    folder = tmp_path_factory.mktemp("hf") / "tiny-llama"
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def subject() -> SubjectModel:
    return tiny_subject()
