from __future__ import annotations

from pathlib import Path

import pytest
from worker_in_process import WorkerInProcess


@pytest.fixture
def room(tmp_path: Path, model_folder: Path, texts: Path) -> WorkerInProcess:
    return WorkerInProcess(tmp_path, model_folder, texts)
