"""The command line, and folders to show."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_line import Cli
from factories import make_job, make_label, make_provenance, make_sets, make_unit
from memory_store import MemoryLabelStore

from autointerp.core.explanations import LabelStatus
from autointerp.dictionary import ManifestInfo, write_dictionary
from autointerp.store.run_folder import RunFolder


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Cli(capsys)


@pytest.fixture
def a_run(tmp_path: Path) -> Path:
    """A run's folder with one whole label, 5:131, and a dead one, 12:7."""
    dead = make_unit(7, hook="blocks.12.mlp.hook_post")
    folder = tmp_path / "run"
    with RunFolder.open(folder, make_job(), resume=False) as opened:
        opened.store.put_label(make_label())
        opened.store.put_sets(make_sets())
        opened.store.put_label(make_label(dead, status=LabelStatus.DEAD))
    return folder


@pytest.fixture
def a_dictionary(tmp_path: Path) -> Path:
    """The same labels as a feature dictionary without the run's own files."""
    store = MemoryLabelStore()
    store.put_label(make_label())
    store.put_sets(make_sets())
    dead = make_unit(7, hook="blocks.12.mlp.hook_post")
    store.put_label(make_label(dead, status=LabelStatus.DEAD))
    created = datetime(2026, 1, 2, tzinfo=UTC)
    info = ManifestInfo(job=make_job(), provenance=make_provenance(), created=created)
    folder = tmp_path / "dictionary"
    write_dictionary(folder, store, info)
    return folder
