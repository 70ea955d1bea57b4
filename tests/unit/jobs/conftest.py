from __future__ import annotations

from pathlib import Path

import pytest
from floor import OneRoom


@pytest.fixture
def room(tmp_path: Path, model_folder: Path, texts: Path) -> OneRoom:
    return OneRoom(tmp_path, model_folder, texts)
