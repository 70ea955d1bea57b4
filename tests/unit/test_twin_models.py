"""The script that trains twin models: the same start, and folders that are read as subjects."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny import tiny_texts
from torch.nn.functional import gelu, layer_norm

import autointerp as ai
from autointerp.core.errors import InputError

pytestmark = pytest.mark.skipif(
    version("transformer_lens").startswith("3."), reason="TransformerLens 3 builds no native model"
)

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


@pytest.fixture(scope="module")
def trained(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twins")
    texts = folder / "texts.jsonl"
    texts.write_text("\n".join(json.dumps({"text": 20 * text}) for text in tiny_texts(40)))
    options = f"--out {folder} --corpora {texts} --steps 30 --windows 8 --vocabulary 300"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train_twins", *options.split()])
        script.main()
    return folder


def values(folder: Path, site: str) -> torch.Tensor:
    """All neurons of the last layer on one text, shape (pos, d_mlp)."""
    subject = ai.load_subject(str(folder))
    hook = f"blocks.1.mlp.{site}"
    ids = subject.tokenizer.encode(tiny_texts(1)[0])
    read = subject.read_rows([ids], {hook: range(subject.width(hook))})
    return torch.as_tensor(read)[0].T


def test_training_lowers_the_loss_of_both_twins(trained: Path) -> None:
    report = json.loads((trained / "twins.json").read_text())
    for kind in ("solu", "gelu"):
        assert report["loss_after_nats"][kind] < report["loss_before_nats"][kind] - 1


def test_sites_of_the_twins_are_read_as_their_functions_say(trained: Path) -> None:
    pre, mid, post = (values(trained / "solu", f"hook_{site}") for site in ("pre", "mid", "post"))
    torch.testing.assert_close(mid, pre * pre.softmax(dim=-1), rtol=1e-4, atol=1e-6)
    weights = ai.load_subject(str(trained / "solu")).bridge.state_dict()
    weight, bias = (weights[f"blocks.1.mlp.ln.{part}"] for part in ("weight", "bias"))
    expected = layer_norm(mid, mid.shape[-1:], weight, bias, 1e-5)
    torch.testing.assert_close(post, expected, rtol=1e-3, atol=1e-4)
    pre, post = (values(trained / "gelu", f"hook_{site}") for site in ("pre", "post"))
    torch.testing.assert_close(post, gelu(pre), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="gelu has no hook point"):
        values(trained / "gelu", "hook_mid")


def test_text_too_short_to_train_on_is_refused(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("\n".join(json.dumps({"text": text}) for text in tiny_texts(40)))
    argv = ["train_twins", "--out", str(tmp_path), "--corpora", str(texts), "--vocabulary", "300"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit, match="no document is as long as a window, 128 tokens"):
        script.main()
    assert not (tmp_path / "twins.json").exists()
