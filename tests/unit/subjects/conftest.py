"""Subject models that the tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import tiny_llama, tiny_subject, tiny_tokenizer

from autointerp.subjects import SubjectModel


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
