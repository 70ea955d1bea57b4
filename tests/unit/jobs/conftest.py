from __future__ import annotations

from pathlib import Path

import pytest
from floor import OneRoom
from tiny import tiny_llama, tiny_texts, tiny_tokenizer, write_texts


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("corpus"), tiny_texts(60, n_words=60))


@pytest.fixture
def room(tmp_path: Path, model_folder: Path, texts: Path) -> OneRoom:
    return OneRoom(tmp_path, model_folder, texts)
