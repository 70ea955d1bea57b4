from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sae_folders import HOOK, sae_config, sae_tensors, write_sae

from autointerp.core.errors import InputError
from autointerp.subjects import load_sae


def metadata(**changes: Any) -> dict[str, Any]:
    return {"metadata": {"sae_lens_version": "6.0.0", "hook_name": HOOK, **changes}}


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("standard", {"architecture": "temporal"}, "architecture 'temporal' is not supported"),
        ("standard", {"activation_fn": "tanh-relu"}, "activation_fn 'tanh-relu' is not supported"),
        ("standard", {"d_in": 0}, "d_in is 0 .*greater than 0"),
        ("standard", {"d_sae": "many"}, "d_sae is 'many'"),
        ("standard", {"metadata": {}}, "does not say at which hook point the SAE reads; name"),
        (
            "standard",
            metadata(hook_name="model.layers.3.mlp"),
            "'model.layers.3.mlp' is not a hook point",
        ),
        (
            "standard",
            {"architecture": "matryoshka_batchtopk"},
            "save it with sae-lens' save_inference_model, as one of standard",
        ),
        ("standard", metadata(hook_head_index=2), "it reads head 2 alone .* SAE of all heads"),
        (
            "standard",
            metadata(model_from_pretrained_kwargs={"center_writing_weights": True}),
            "loaded with center_writing_weights=True, whose activations differ; load the model so",
        ),
        (
            "standard",
            {"normalize_activations": "expected_average_only_in"},
            "its scaling factor is not in the folder; multiply it into the weights",
        ),
        ("standard", {"normalize_activations": True}, "scaling factor is not in the folder"),
        ("standard", {"normalize_activations": "covariance_whitening"}, "its whitening matrix"),
        (
            "standard",
            {"normalize_activations": "batch"},
            "'batch' is not supported: use one of none",
        ),
        ("standard", {"reshape_activations": "hook_z"}, "it reshapes hook_z, but hook_name is"),
        ("topk", {"k": None}, "a topk SAE needs k from 1 to d_sae=40, but k is None"),
        ("topk", {"k": 41}, "a topk SAE needs k from 1 to d_sae=40, but k is 41"),
        ("transcoder", {"d_out": None}, "a transcoder needs d_out"),
        ("transcoder", {"apply_b_dec_to_input": True}, "and apply_b_dec_to_input false"),
    ],
)
def test_a_setting_that_cannot_be_done_exactly_is_told(
    tmp_path: Path, architecture: str, changes: dict[str, Any], message: str
) -> None:
    folder = write_sae(tmp_path / "x", architecture, config=sae_config(architecture) | changes)
    with pytest.raises(InputError, match=rf"cfg\.json.*{message}"):
        load_sae(folder)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("b_enc", None, "lacks b_enc, which a standard SAE has; it holds W_dec, W_enc, b_dec"),
        ("W_dec", None, "lacks W_dec"),
        ("W_enc", torch.zeros(40, 16), r"W_enc has the shape \(40, 16\), but by .* \(16, 40\)"),
        ("b_enc", torch.zeros(41), r"b_enc has the shape \(41,\), but by cfg.json \(d_in=16"),
        ("b_enc", torch.full((40,), torch.nan), "b_enc holds NaN or infinity"),
        ("W_enc", torch.full((16, 40), torch.inf), "W_enc holds NaN or infinity"),
        ("W_enc", torch.ones(16, 40).to(torch.int8), r"W_enc is quantized \(int8\), which is not"),
        ("b_dec", torch.ones(16).to(torch.float8_e5m2), r"b_dec is quantized \(float8_e5m2\)"),
        ("threshold", torch.zeros(40), "holds threshold, for which a standard SAE has no use"),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_told(
    tmp_path: Path, name: str, tensor: torch.Tensor | None, message: str
) -> None:
    tensors = sae_tensors()
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    with pytest.raises(InputError, match=rf"sae_weights\.safetensors.*{message}"):
        load_sae(write_sae(tmp_path / "x", tensors=tensors))


def test_pickled_weights_alone_are_never_opened(tmp_path: Path) -> None:
    folder = write_sae(tmp_path / "x")
    (folder / "sae_weights.safetensors").rename(folder / "sae_weights.pt")
    with pytest.raises(InputError, match=r"weights in sae_weights\.pt alone, and pickled files"):
        load_sae(folder)


def test_a_folder_that_is_not_whole_is_told(tmp_path: Path) -> None:
    folder = write_sae(tmp_path / "x")
    weights = folder / "sae_weights.safetensors"
    whole = weights.read_bytes()
    for content in (b"", whole[:100], whole[:-40]):
        weights.write_bytes(content)
        with pytest.raises(InputError, match="is not a complete safetensors file .*download"):
            load_sae(folder)
    weights.unlink()
    with pytest.raises(InputError, match=r"has no sae_weights\.safetensors; download"):
        load_sae(folder)
    for text, message in (("{", "cannot be read"), ("[]", "does not hold a JSON object")):
        (folder / "cfg.json").write_text(text)
        with pytest.raises(InputError, match=message):
            load_sae(folder)
    (folder / "cfg.json").unlink()
    with pytest.raises(InputError, match="is not a SAELens folder: it has no cfg.json"):
        load_sae(folder)
    with pytest.raises(InputError, match="nowhere is not an SAE folder"):
        load_sae(tmp_path / "nowhere")


def test_a_folder_above_saes_or_of_another_library_is_told_with_what_is_there(
    tmp_path: Path,
) -> None:
    for layer in (1, 2):
        write_sae(tmp_path / "release" / f"layer_{layer}" / "width_16k")
    with pytest.raises(InputError) as told:
        load_sae(tmp_path / "release")
    first = tmp_path / "release" / "layer_1" / "width_16k"
    assert str(told.value).endswith(f"; name one of the 2 below it, for example {first}")
    scope = tmp_path / "average_l0_71"
    scope.mkdir()
    (scope / "params.npz").write_bytes(b"never opened")
    with pytest.raises(InputError, match=r"only params\.npz; SAEs of other libraries are read by"):
        load_sae(scope)


def test_what_git_left_instead_of_the_weights_is_told(tmp_path: Path) -> None:
    folder = write_sae(tmp_path / "x")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"
    (folder / "sae_weights.safetensors").write_text(pointer)
    with pytest.raises(InputError, match="sae_weights.safetensors is only Git's pointer to the"):
        load_sae(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 50) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)
KEYS = [
    *sae_config("topk"),
    "activation_fn",
    "activation_fn_kwargs",
    "d_out",
    "hook_name",
    "hook_head_index",
    "model_from_pretrained_kwargs",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(KEYS), JSON, st.sampled_from(["standard", "topk", "transcoder"]))
def test_any_value_of_any_key_loads_or_is_an_input_error(
    tmp_path: Path, key: str, value: object, architecture: str
) -> None:
    folder = write_sae(tmp_path / "x", architecture)
    (folder / "cfg.json").write_text(json.dumps(sae_config(architecture) | {key: value}))
    try:
        encoder = load_sae(folder)
    except InputError as error:
        assert str(folder) in str(error)  # noqa: PT017
    else:
        assert encoder.encode(torch.ones(1, 1, 16)).shape == (1, 1, 40)
