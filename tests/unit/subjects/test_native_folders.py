"""Folders in TransformerLens' own layout: what is loaded from them, and what is refused."""

from __future__ import annotations

import json
import pickle
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from native_models import D_HEAD, native_config, native_model, property_format, write_tl_folder
from safetensors.torch import save_file
from tiny import tiny_subject, tiny_tokenizer

from autointerp.core.errors import InputError
from autointerp.core.model_shape import shape_of_config
from autointerp.subjects import load_subject
from autointerp.subjects.tl_folder import legacy_name

pytestmark = pytest.mark.skipif(
    version("transformer_lens").startswith("3."), reason="TransformerLens 3 builds no native model"
)

IDS = torch.tensor([[0, 5, 6, 7, 260]])


@pytest.fixture(scope="module")
def solu() -> Any:
    return native_model()


def logits(bridge: Any) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = bridge.original_model(IDS)
    return result


@pytest.mark.parametrize(
    ("act_fn", "settings"),
    [
        ("solu_ln", {}),
        ("gelu", {}),
        ("gelu_new", {"normalization": "LNPre"}),
        ("relu", {"normalization": None}),
        ("solu", {"final_rms": True}),
        ("gelu", {"attn_only": True}),
    ],
)
def test_a_folder_in_its_layout_computes_what_the_trained_model_does(
    tmp_path: Path, act_fn: str, settings: dict[str, Any]
) -> None:
    trained = native_model(act_fn, n_steps=5, **settings)
    folder = write_tl_folder(tmp_path / "toy", native_config(act_fn, **settings), trained)
    loaded = load_subject(str(folder), device="cpu")
    torch.testing.assert_close(logits(loaded.bridge), logits(trained))
    assert loaded.name == "toy"
    assert loaded.tokenizer.bos_id == 0


def test_a_checkpoint_of_the_training_is_named_behind_an_at_sign(tmp_path: Path, solu: Any) -> None:
    early = native_model(n_steps=2)
    folder = write_tl_folder(tmp_path / "toy", native_config(), solu)
    write_tl_folder(folder, native_config(), early, file="checkpoints/toy_1000.pth")
    write_tl_folder(folder, native_config(), solu, file="checkpoints/toy_20000.pth")
    loaded = load_subject(f"{folder}@1000", device="cpu")
    torch.testing.assert_close(logits(loaded.bridge), logits(early))
    assert loaded.name == "toy@1000"
    assert loaded.revision != load_subject(str(folder), device="cpu").revision
    with pytest.raises(InputError, match="no checkpoint 7; it has 1000, 20000"):
        load_subject(f"{folder}@7", device="cpu")


def test_weights_of_the_present_format_are_read_too(tmp_path: Path, solu: Any) -> None:
    folder = write_tl_folder(tmp_path / "toy", native_config(), solu)
    torch.save(solu.state_dict(), folder / "model_final.pth")
    loaded = load_subject(str(folder), device="cpu", dtype="float32")
    torch.testing.assert_close(logits(loaded.bridge), logits(solu))


@pytest.mark.parametrize("file", ["model.pt", "model.safetensors", "weights.pth"])
@pytest.mark.parametrize(
    ("act_fn", "settings"),
    [
        ("solu_ln", {}),
        ("relu", {"positional_embedding_type": "rotary", "rotary_dim": 8}),
        ("silu", {"gated_mlp": True, "normalization": "RMS", "n_key_value_heads": 1}),
    ],
)
def test_a_whole_configuration_and_native_names_are_read(
    tmp_path: Path, file: str, act_fn: str, settings: dict[str, Any]
) -> None:
    trained = native_model(act_fn, n_steps=2, **settings)
    (tmp_path / "config.json").write_text(json.dumps(trained.cfg.to_dict(), default=str))
    tiny_tokenizer().save_pretrained(tmp_path)
    weights = {name: t.detach().clone() for name, t in trained.original_model.state_dict().items()}
    save = save_file if file.endswith("safetensors") else torch.save
    save(weights, tmp_path / file)
    loaded = load_subject(str(tmp_path), device="cpu")
    torch.testing.assert_close(logits(loaded.bridge), logits(trained))


@pytest.mark.parametrize("act_fn", ["solu_ln", "silu"])
def test_the_sizes_that_its_configuration_tells_are_those_of_the_model(act_fn: str) -> None:
    more = {"gated_mlp": True, "n_key_value_heads": 1} if act_fn == "silu" else {}
    model = native_model(act_fn, n_steps=0, **more).original_model
    shape = shape_of_config("toy", native_config(act_fn, **more))
    matrices = {name: p for name, p in model.named_parameters() if p.ndim > 1}
    assert shape.gated == bool(more)
    assert shape.n_weights == sum(p.numel() for name, p in matrices.items() if "pos." not in name)


def test_a_tokenizer_of_one_file_is_enough(tmp_path: Path, solu: Any) -> None:
    folder = write_tl_folder(tmp_path / "toy", native_config(), solu)
    (folder / "tokenizer_config.json").unlink()
    loaded = load_subject(str(folder), device="cpu")
    assert loaded.tokenizer.encode("the river") == tiny_subject(solu).tokenizer.encode("the river")


def test_the_oldest_solu_layout_is_turned_round(tmp_path: Path, solu: Any) -> None:
    old = {}
    for name, tensor in property_format(solu).items():
        turned = "W_" in name
        renamed = name.replace("ln_final", "norm").replace(".ln", ".norm")
        old[renamed] = tensor.transpose(-2, -1).clone() if turned else tensor
    folder = write_tl_folder(tmp_path / "toy", native_config(architecture="neel-solu-old"), solu)
    torch.save({n: t for n, t in old.items() if "mask" not in n}, folder / "model_final.pth")
    torch.testing.assert_close(logits(load_subject(str(folder), device="cpu").bridge), logits(solu))


def cut_tokenizer(folder: Path, file: str, without: str = "nothing") -> None:
    (folder / file).write_text('{"version": "1.0", "model": {"type": "Newer"}}')
    (folder / without).unlink(missing_ok=True)


def cut_safetensors(folder: Path) -> None:
    (folder / "model_final.pth").unlink()
    save_file({"blocks.0.ln1.weight": torch.ones(16)}, folder / "whole")
    (folder / "model_final.safetensors").write_bytes((folder / "whole").read_bytes()[:-9])


@pytest.mark.parametrize("n_rotated", [8, 4])
@pytest.mark.parametrize("adjacent", [False, True])
def test_rotary_positions_turn_the_pairs_that_hooked_transformer_turned(
    tmp_path: Path, n_rotated: int, adjacent: bool
) -> None:
    settings = {"positional_embedding_type": "rotary", "rotary_dim": n_rotated}
    model = native_model("relu", n_steps=5, **settings)
    more = {"rotary_adjacent_pairs": True} if adjacent else {}
    folder = write_tl_folder(tmp_path / "toy", native_config("relu", **settings, **more), model)
    bridge = load_subject(str(folder), device="cpu").bridge
    _, cache = bridge.run_with_cache(torch.tensor([[0, 5, 6, 7, 8, 9]]))
    w = {name.split(".")[-1]: t for name, t in property_format(model).items() if "blocks.0" in name}
    entering = cache["blocks.0.attn.hook_in"][0]
    query, key = (
        turned(torch.einsum("pd,hde->hpe", entering, w[f"W_{n}"]) + w[f"b_{n}"][:, None], n_rotated,
               adjacent=adjacent)
        for n in ("Q", "K")
    )  # fmt: skip
    scores = query @ key.transpose(1, 2) / D_HEAD**0.5
    scores = scores.masked_fill(torch.ones(6, 6).triu(1).bool(), -torch.inf)
    pattern = cache["blocks.0.attn.hook_pattern"][0]
    torch.testing.assert_close(pattern, scores.softmax(dim=-1), rtol=1e-4, atol=1e-5)


def turned(x: torch.Tensor, n_rotated: int, *, adjacent: bool) -> torch.Tensor:
    """Rotary positions as HookedTransformer computes them."""
    half = n_rotated // 2
    angles = torch.arange(x.shape[1])[:, None] * 10_000.0 ** (-torch.arange(half) / half)
    first, second = (x[..., :n_rotated:2], x[..., 1:n_rotated:2]) if adjacent else (
        x[..., :half], x[..., half:n_rotated])  # fmt: skip
    new = (
        first * angles.cos() - second * angles.sin(),
        second * angles.cos() + first * angles.sin(),
    )
    both = torch.stack(new, dim=-1).flatten(-2) if adjacent else torch.cat(new, dim=-1)
    return torch.cat([both, x[..., n_rotated:]], dim=-1)


class _Harmful:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("a weights file ran code",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "model_final.pth").unlink(), "has no weights; one of"),
        (
            lambda f: (f / "model_final.pth").write_bytes(b"PK\x03\x04cut"),
            "has no weights that can be read",
        ),
        (
            lambda f: (f / "model_final.pth").write_bytes(pickle.dumps(_Harmful())),
            "can be read without running code",
        ),
        (
            lambda f: torch.save({"blocks.0.attn.W_Q": torch.zeros(1)}, f / "model_final.pth"),
            "is of another model than config.json beside it: it lacks",
        ),
        (lambda f: torch.save([1, 2], f / "model_final.pth"), "does not hold a state dict"),
        (lambda f: (f / "model_final.pth").write_bytes(b""), "code: it is damaged, or holds more"),
        (
            lambda f: (f / "model_final.pth").write_text("version https://git-lfs.github.com/s"),
            "model_final.pth is only Git's pointer to the file",
        ),
        (cut_safetensors, "model_final.safetensors has no weights that can be read"),
        (lambda f: cut_tokenizer(f, "tokenizer.json"), "tokenizer.json is damaged, or made by new"),
        (
            lambda f: cut_tokenizer(f, "tokenizer.json", without="tokenizer_config.json"),
            "tokenizer.json is damaged, or made by newer",
        ),
        (lambda f: [p.unlink() for p in f.glob("tokenizer*")], "has no tokenizer and names none"),
    ],
)
def test_a_folder_that_is_not_whole_says_what_it_lacks(
    tmp_path: Path, solu: Any, change: Any, message: str
) -> None:
    folder = write_tl_folder(tmp_path / "toy", native_config(), solu)
    change(folder)
    with pytest.raises(InputError, match=message):
        load_subject(str(folder), device="cpu")


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"d_mlp": 8}, r"it has \S+ of shape \(24,( 16)?\) in place of \(8,( 16)?\) and \d+ more;"),
        (
            {"d_vocab": 600},
            r"it has \S+ of shape \(279,( 16)?\) in place of \(600,( 16)?\) and 2 more",
        ),
        (
            {"n_layers": 1},
            r"it has \S+\.1\.attn\.k\.bias and \d+ more, which that model lacks; copy",
        ),
        ({"n_layers": 3}, r"it lacks layers\.2\.attn\.k\.bias and 17 more; copy both of one model"),
        ({"act_fn": "gelu"}, r"it has \S+\.0\.mlp\.ln\.bias and 3 more, which that model lacks;"),
    ],
)
def test_weights_of_another_configuration_are_told_from_damaged_ones(
    tmp_path: Path, solu: Any, settings: dict[str, Any], message: str, native: bool
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(native_config(**settings)))
    tiny_tokenizer().save_pretrained(tmp_path)
    tensors = (solu.original_model if native else solu).state_dict()
    save_file({name: t.detach().clone() for name, t in tensors.items()}, tmp_path / "a.safetensors")
    said = r"a\.safetensors is of another model than config\.json beside it: "
    with pytest.raises(InputError, match=said + message):
        load_subject(str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shortformer_pos": True}, "shortformer positions"),
        ({"positional_embedding_type": "alibi"}, "alibi positions"),
        ({"parallel_attn_mlp": True}, "attention and MLP in parallel"),
        ({"attention_dir": "bidirectional"}, "attention in both directions"),
        ({"use_local_attn": True, "window_size": 4}, "attention to a window of its own"),
        ({"scale_attn_by_inverse_layer_idx": True}, "attention scaled by the layer's number"),
        ({"use_normalization_before_and_after": True}, "norms behind each part of a block"),
        ({"normalization": "Batch"}, "norms of the kind Batch"),
        ({"num_experts": 4}, "a mixture of experts"),
        ({"d_mlp": "24"}, r"config.json has '24' as d_mlp, which should be a whole number; copy"),
        ({"eps": "x"}, "NativeModel cannot be run on a short text: unsupported operand"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(
    tmp_path: Path, solu: Any, settings: dict[str, Any], message: str
) -> None:
    folder = write_tl_folder(tmp_path / "toy", native_config(**settings), solu)
    with pytest.raises(InputError, match=message):
        load_subject(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("solu-1l", ("NeelNanda/SoLU_1L512W_C4_Code", None)),
        ("gelu-2l@1000", ("NeelNanda/GELU_2L512W_C4_Code", "1000")),
        ("attn-only-1l", ("NeelNanda/Attn_Only_1L512W_C4_Code", None)),
        ("NeelNanda/SoLU_2L512W_C4_Code", ("NeelNanda/SoLU_2L512W_C4_Code", None)),
        ("gpt2", None),
        ("owner/NeelNanda", None),
    ],
)
def test_names_of_the_toy_models_are_known(name: str, expected: object) -> None:
    assert legacy_name(name) == expected


def test_a_toy_model_that_cannot_be_downloaded_says_what_it_is() -> None:
    with pytest.raises(InputError, match=r"solu-1l is NeelNanda/SoLU_1L512W_C4_Code on the Hug"):
        load_subject("solu-1l", device="cpu")
