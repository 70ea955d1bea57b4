from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sae_folders import HOOK, oracle_latents, sae_config, sae_tensors, write_sae
from safetensors.torch import save_file
from tiny import tiny_gpt2, tiny_llama, tiny_subject
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint, UnitId
from autointerp.subjects import (
    HookUnits,
    SubjectModel,
    load_directions,
    load_sae,
    parse_units,
    random_directions,
)

TOKENS = torch.randint(1, 250, (3, 7), generator=torch.Generator().manual_seed(1))


def read_all(subject: SubjectModel, hooks: list[str]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    subject.read(TOKENS, hooks, lambda hook, acts: found.update({hook: acts.clone()}))
    return found


def write_directions(file: Path, hook: str | None = HOOK, **tensors: Tensor) -> Path:
    save_file(tensors, file, metadata={} if hook is None else {"hook": hook})
    return file


@pytest.fixture
def fresh() -> SubjectModel:
    return tiny_subject()


def test_encoders_of_one_hook_point_are_read_beside_it_in_one_pass(
    fresh: SubjectModel, tmp_path: Path
) -> None:
    latents = fresh.attach(load_sae(write_sae(tmp_path / "Res 8x", "gated")))
    projections = fresh.attach(random_directions(HOOK, 16, 5, seed=0))
    assert (latents, projections) == (f"{HOOK}.sae_res_8x", f"{HOOK}.dirs_random_5_seed_0")
    later = "blocks.2.mlp.hook_post"
    found = read_all(fresh, [later, latents, HOOK, projections])
    assert list(found) == [HOOK, latents, projections, later]
    expected = oracle_latents(found[HOOK], sae_tensors("gated"), sae_config("gated"))
    scale = float(found[latents].max())
    assert (found[latents].double() - torch.from_numpy(expected)).abs().max() < 1e-5 * scale
    assert (fresh.width(latents), fresh.width(projections)) == (40, 5)


def test_the_base_hook_point_is_not_handed_on_unasked_and_the_pass_ends_behind_it(
    fresh: SubjectModel,
) -> None:
    hook = fresh.attach(random_directions(HOOK, 16, 2, seed=0))
    deep: list[int] = []
    fresh.bridge.original_model.model.layers[2].register_forward_pre_hook(lambda *_: deep.append(2))
    assert list(read_all(fresh, [hook])) == [hook]
    assert deep == []


def test_units_of_a_half_precision_model_are_encoded_in_float32(tmp_path: Path) -> None:
    half = tiny_subject(tiny_llama(dtype=torch.bfloat16))
    hook = half.attach(load_sae(write_sae(tmp_path / "x", "topk")))
    found = read_all(half, [HOOK, hook])
    assert (found[HOOK].dtype, found[hook].dtype) == (torch.bfloat16, torch.float32)
    expected = oracle_latents(found[HOOK], sae_tensors("topk"), sae_config("topk"))
    error = (found[hook].double() - torch.from_numpy(expected)).abs().max()
    assert error < 1e-5 * float(found[hook].max())


def test_derived_hook_points_make_unit_ids_and_know_their_sides(
    fresh: SubjectModel, tmp_path: Path
) -> None:
    latents = fresh.attach(load_sae(write_sae(tmp_path / "x")))
    projections = fresh.attach(random_directions(HOOK, 16, 2, seed=0))
    assert HookPoint(latents).layer == 1
    unit = UnitId("tiny", latents, 7)
    assert UnitId.parse(str(unit)) == unit
    assert not fresh.two_sided(latents)
    assert fresh.two_sided(projections)
    assert list(fresh.encoders) == [latents, projections]


def test_the_same_encoder_is_attached_once_and_another_of_its_name_is_refused(
    fresh: SubjectModel, tmp_path: Path
) -> None:
    hook = fresh.attach(load_sae(write_sae(tmp_path / "x")))
    before = fresh.encoders[hook]
    assert fresh.attach(load_sae(write_sae(tmp_path / "x"))) == hook
    assert fresh.encoders[hook] is before
    other = load_sae(write_sae(tmp_path / "elsewhere" / "x", tensors=sae_tensors(seed=1)))
    with pytest.raises(InputError, match=f"{before.digest} and {other.digest}.; rename the file"):
        fresh.attach(other)


def test_a_hook_point_of_another_width_is_refused_with_those_that_fit(fresh: SubjectModel) -> None:
    with pytest.raises(InputError) as told:
        fresh.attach(random_directions("blocks.1.hook_resid_pre", 24, 2, seed=0))
    message = str(told.value)
    assert "reads 24 values, but blocks.1.hook_resid_pre of tiny is 16 wide" in message
    assert message.endswith("blocks.1.mlp.hook_pre, blocks.1.mlp.hook_post are 24 wide")
    with pytest.raises(InputError, match="is 16 wide; it is of another model"):
        fresh.attach(random_directions(HOOK, 768, 2, seed=0))
    with pytest.raises(InputError, match="there is no layer 7"):
        fresh.attach(random_directions("blocks.7.hook_resid_pre", 16, 2, seed=0))
    assert not fresh.encoders


def test_an_encoder_does_not_read_another_encoders_units(fresh: SubjectModel) -> None:
    hook = fresh.attach(random_directions(HOOK, 16, 16, seed=0))
    with pytest.raises(InputError, match="itself an encoder's; read a hook point"):
        fresh.attach(random_directions(hook, 16, 2, seed=0))


def test_projections_are_dot_products_plus_a_bias(fresh: SubjectModel, tmp_path: Path) -> None:
    vectors, bias = torch.randn(3, 16), torch.tensor([0.0, 1.0, -2.0])
    file = write_directions(tmp_path / "My Dirs.safetensors", directions=vectors, bias=bias)
    hook = fresh.attach(load_directions(file))
    found = read_all(fresh, [HOOK, hook])
    assert hook == f"{HOOK}.dirs_my_dirs"
    expected = torch.einsum("bpd,nd->bpn", found[HOOK].double(), vectors.double()) + bias
    torch.testing.assert_close(found[hook].double(), expected, atol=1e-4, rtol=1e-5)


def test_random_directions_have_norm_1_and_depend_on_the_seed_alone() -> None:
    first = random_directions(HOOK, 64, 200, seed=3)
    torch.testing.assert_close(first.vectors.norm(dim=1), torch.ones(200))
    assert first.vectors.mean().abs() < 5 / (64 * 200) ** 0.5 / 64**0.5
    assert random_directions(HOOK, 64, 200, seed=3).digest == first.digest
    assert random_directions(HOOK, 64, 200, seed=4).digest != first.digest
    with pytest.raises(InputError, match="0 directions of width 64 were asked for"):
        random_directions(HOOK, 64, 0, seed=3)


@pytest.mark.parametrize(
    ("hook", "tensors", "message"),
    [
        (None, {"directions": torch.ones(2, 16)}, "does not say in its metadata at which hook"),
        ("resid", {"directions": torch.ones(2, 16)}, "'resid' is not a hook point inside a block"),
        (HOOK, {"vectors": torch.ones(2, 16)}, r"holds vectors \(2, 16\); save a tensor"),
        (HOOK, {"directions": torch.ones(16)}, r"holds directions \(16,\); save a tensor"),
        (HOOK, {"directions": torch.ones(0, 16)}, r"holds directions \(0, 16\)"),
        (HOOK, {"directions": torch.ones(2, 16), "bias": torch.ones(3)}, r"bias \(3,\), direct"),
        (HOOK, {"directions": torch.ones(2, 16), "mean": torch.ones(2)}, r"mean \(2,\); save"),
        (HOOK, {"directions": torch.ones(2, 3) / 0}, "directions of .* must hold finite"),
        (HOOK, {"directions": torch.ones(2, 3).long()}, "must hold finite floating-point"),
    ],
)
def test_a_file_that_holds_no_directions_is_told(
    tmp_path: Path, hook: str | None, tensors: dict[str, Any], message: str
) -> None:
    file = write_directions(tmp_path / "d.safetensors", hook, **tensors)
    with pytest.raises(InputError, match=message):
        load_directions(file)


def test_a_file_of_directions_that_is_damaged_is_told(tmp_path: Path) -> None:
    file = write_directions(tmp_path / "d.safetensors", directions=torch.ones(2, 16))
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match="is not a complete safetensors file"):
        load_directions(file)


@pytest.fixture
def filed(tmp_path: Path) -> Path:
    """A folder with an SAE and directions under awkward names."""
    write_sae(tmp_path / "sae")
    write_sae(tmp_path / "a,b:c")
    write_directions(tmp_path / "d.safetensors", directions=torch.eye(16)[:4])
    write_directions(tmp_path / "one, 2.safetensors", directions=torch.eye(16)[:4])
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("sae:{}/sae:0-2", {f"{HOOK}.sae_sae": range(3)}),
        ("sae:{}/sae/:7", {f"{HOOK}.sae_sae": [7]}),
        ("sae:{}/sae:all", {f"{HOOK}.sae_sae": range(40)}),
        ("sae:{0}/sae:0-1,sae:{0}/sae:5", {f"{HOOK}.sae_sae": [0, 1, 5]}),
        ("sae:{}/a,b:c:3-4", {f"{HOOK}.sae_a_b_c": [3, 4]}),
        ("dirs:{}/d.safetensors", {f"{HOOK}.dirs_d": range(4)}),
        ("dirs:{}/d.safetensors:1-2", {f"{HOOK}.dirs_d": [1, 2]}),
        ("dirs:{}/one, 2.safetensors:0", {f"{HOOK}.dirs_one_2": [0]}),
        (
            "2:5-6, sae:{0}/a,b:c:3 ,layer:0,dirs:{0}/d.safetensors",
            {
                "blocks.0.mlp.hook_post": range(24),
                f"{HOOK}.dirs_d": range(4),
                f"{HOOK}.sae_a_b_c": [3],
                "blocks.2.mlp.hook_post": [5, 6],
            },
        ),
    ],
)
def test_units_of_files_are_what_the_specification_says(
    fresh: SubjectModel, filed: Path, spec: str, expected: dict[str, Any]
) -> None:
    units = parse_units(spec.format(filed), fresh)
    assert units == tuple(HookUnits(hook, tuple(indices)) for hook, indices in expected.items())
    assert set(fresh.encoders) == {hook for hook in expected if "sae_" in hook or "dirs_" in hook}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sae:{}/sae", "40 latents are many; write sae:.*/sae:0-99 for some"),
        ("sae:{}/sae:38-40", f"{HOOK}.sae_sae of tiny has the units 0 to 39"),
        ("dirs:{}/d.safetensors:4", f"{HOOK}.dirs_d of tiny has the units 0 to 3"),
        ("dirs:{}/sae", "/sae is not a file; save a tensor"),
        ("sae:{}/d.safetensors:0", "/d.safetensors is not an SAE folder"),
        ("sae:{}/sae:x", "/sae:x is not an SAE folder"),
    ],
)
def test_units_of_files_that_do_not_exist_are_told(
    fresh: SubjectModel, filed: Path, spec: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        parse_units(spec.format(filed), fresh)


@pytest.mark.parametrize("build", [tiny_llama, tiny_gpt2])
def test_attention_heads_and_the_residual_stream_are_units(build: Any) -> None:
    subject = tiny_subject(build())
    kinds = ("attn.hook_z", "hook_attn_out", "hook_resid_pre", "hook_resid_mid", "hook_resid_post")
    hooks = [f"blocks.1.{kind}" for kind in kinds]
    units = parse_units(",".join(f"{hook}:0-9" for hook in hooks), subject)
    assert {unit.hook: unit.indices for unit in units} == dict.fromkeys(hooks, tuple(range(10)))
    _, cache = subject.bridge.run_with_cache(torch.nn.functional.pad(TOKENS, (1, 0), value=0))
    found = read_all(subject, hooks)
    head, d_head = 1, 8
    of_head = cache["blocks.1.attn.hook_z"][:, 1:].reshape(3, 7, 2, d_head)[:, :, head]
    assert torch.equal(found["blocks.1.attn.hook_z"][..., head * d_head :], of_head)
    for hook in hooks[1:]:
        assert torch.equal(found[hook], cache[hook][:, 1:])
        assert subject.two_sided(hook)
