"""The defaults, all real: SmolLM2, Wikipedia, the embedded LLM, from one command to the labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import autointerp as ai
from autointerp.cli import run


def test_the_defaults_label_neurons_of_a_real_model_with_a_real_llm(
    smollm2_cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AUTOINTERP_CACHE_DIR", str(smollm2_cache))
    out = tmp_path / "run"
    size = ["--tokens", "4096", "--n-ctx", "32", "--heldout", "6"]
    command = ["label", "smollm2-135m", "--units", "2:0-1", *size, "--json", "--out", str(out)]
    code = run(command)
    printed = capsys.readouterr()
    assert code == 0, printed.err
    result = json.loads(printed.out)
    assert result["usage"]["requests"] > 4
    labels = list(ai.open_dictionary(out).labels())
    assert [label.unit.index for label in labels] == [0, 1]
    for label in labels:
        # The LLM explained, and was asked to simulate what it had written, and it could.
        assert label.llm is not None
        simulated = label.result(label.llm.scorer)
        assert simulated is not None
        assert simulated.n_judged > 0
        assert label.headline.value is not None
        assert label.score("lookup").value is not None
