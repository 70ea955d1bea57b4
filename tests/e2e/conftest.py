"""A tiny model in a folder, texts, an endpoint, and the command line on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint
from labelling import Labelling
from planted_llm import noise


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint(noise(0)) as running:
        yield running


@pytest.fixture
def labelling(
    model_folder: Path,
    texts: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Labelling:
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "dumb")
    return Labelling(model_folder, texts, tmp_path, capsys)
