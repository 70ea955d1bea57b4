"""The script that trains twin models: the same start, and folders that are read as subjects."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny import tiny_texts

import autointerp as ai

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "train_twins.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_twins", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_twins_start_as_the_same_model(script: ModuleType) -> None:
    twins = script.make_twins(40, seed=3)
    solu, gelu = (twins[kind].state_dict() for kind in ("solu", "gelu"))
    assert all(torch.equal(tensor, solu[name]) for name, tensor in gelu.items())
    only = {name: tensor for name, tensor in solu.items() if name not in gelu}
    assert only
    assert all(".mlp.ln." in name for name in only)
    assert all(torch.equal(t, torch.full_like(t, float("weight" in n))) for n, t in only.items())


def test_trained_twins_are_read_as_subjects(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("\n".join(json.dumps({"text": 20 * text}) for text in tiny_texts(40)))
    options = f"--out {tmp_path} --corpora {texts} --steps 30 --windows 8 --vocabulary 300"
    monkeypatch.setattr(sys, "argv", ["train_twins", *options.split()])
    script.main()
    report = json.loads((tmp_path / "twins.json").read_text())
    for kind in ("solu", "gelu"):
        assert report["loss_after_nats"][kind] < report["loss_before_nats"][kind] - 1
        subject = ai.load_subject(str(tmp_path / kind))
        assert subject.n_layers == 2
        read = ai.live_activations(subject, tiny_texts(1)[0], units="0:0-3")
        assert read
    subject = ai.load_subject(str(tmp_path / "solu"))
    for site in ("hook_pre", "hook_mid", "hook_post"):
        assert ai.live_activations(subject, "the river", units=f"blocks.1.mlp.{site}:0-3")
