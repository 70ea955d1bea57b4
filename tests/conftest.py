"""Every test starts from an environment without settings, reaches no hub and has one thread."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from packaged_model import Conversion, converted_once

# Read by huggingface_hub when it is imported.
os.environ["HF_HUB_OFFLINE"] = "1"
# Read by torch when it is imported. Threads gain tiny models nothing, and on a busy machine wait
# for each other.
os.environ["OMP_NUM_THREADS"] = "1"
# The same examples each time, and none is too slow: a busy machine is no fault of the code.
settings.load_profile("ci")
# For whoever asks only whether a test fails: no time goes into a smaller example.
settings.register_profile("no shrinking", phases=[Phase.explicit, Phase.generate])


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer's shell sets must not decide what a test finds."""
    for name in list(os.environ):
        if name.upper().startswith("AUTOINTERP_") or name == "OPENAI_API_KEY":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def conversion(tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    """The packaged model in a cache folder that no test writes to."""
    return converted_once(tmp_path_factory)


@pytest.fixture(scope="module")
def smollm2_cache(conversion: Conversion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this file's tests, with the packaged model in it."""
    return conversion.linked(tmp_path_factory.mktemp("cache") / "cache")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model with its tokenizer."""
    from tiny import tiny_llama, tiny_tokenizer

    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty short documents for it."""
    from tiny import tiny_texts, write_texts

    return write_texts(tmp_path_factory.mktemp("corpus"), tiny_texts(60, n_words=60))
