"""The notebook of first steps does what it shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from notebooks import executed, output_texts

import autointerp

NOTEBOOK = Path(autointerp.__file__).parents[1] / "examples" / "first_steps.ipynb"


@pytest.fixture(scope="module")
def outputs(smollm2_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("notebook")
    return output_texts(executed(NOTEBOOK, folder=folder, cache=smollm2_cache))


def rough(outputs: list[str]) -> list[str]:
    """Without digits and what is quoted: last decimals differ between machines."""
    return [re.sub(r'[\d.]+|".*?"|&quot;.*?&quot;', "", text).strip()[:200] for text in outputs]


def test_it_shows_labels_with_their_exemplars_and_what_goes_wrong(outputs: list[str]) -> None:
    together = "\n".join(outputs)
    assert "<b>3 labels</b>" in together
    assert "held out: real, predicted" in together
    assert "there is no layer 99" in outputs[-1]
    assert "Warning" not in together
    assert "Traceback" not in together


def test_its_stored_outputs_are_what_it_gives_now(outputs: list[str]) -> None:
    stored: Any = nbformat.read(NOTEBOOK, as_version=4)
    assert rough(output_texts(stored)) == rough(outputs)
    assert all(str(Path.home()) not in text for text in output_texts(stored))
