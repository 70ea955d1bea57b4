"""What people do to a model in memory before they have it explained."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from accelerate.utils import convert_outputs_to_fp32
from tiny import tiny_llama, tiny_subject, tiny_tokenizer
from torch import Tensor, nn

from autointerp.core.errors import InputError
from autointerp.subjects import wrap_subject

TOKENS = torch.randint(1, 250, (2, 7), generator=torch.Generator().manual_seed(1))


def neurons(model: Any) -> Tensor:
    """What enters the last matrix of the second MLP where the given model itself is run."""
    entered: list[Tensor] = []
    mlp = getattr(model, "_orig_mod", model).model.layers[1].mlp
    hook = mlp.down_proj.register_forward_pre_hook(lambda _m, args: entered.append(args[0]))
    with torch.no_grad():
        model(nn.functional.pad(TOKENS, (1, 0), value=0))
    hook.remove()
    return entered[0][:, 1:]


def read(model: Any) -> Tensor:
    found: list[Tensor] = []
    hook = "blocks.1.mlp.hook_post"
    tiny_subject(model).read(TOKENS, [hook], lambda _h, acts: found.append(acts.clone()))
    return found[0]


def compiled(part: Any) -> Any:
    return torch.compile(part, backend="eager")


def whole() -> Any:
    return compiled(tiny_llama())


def its_forward() -> Any:
    model = tiny_llama()
    model.forward = compiled(model.forward)
    return model


def its_layers() -> Any:
    model = tiny_llama()
    for place in range(3):
        model.model.layers[place] = compiled(model.model.layers[place])
    return model


def aligned() -> Any:
    model = tiny_llama()
    for part in (model, *model.model.layers, model.model.layers[1].mlp.up_proj):
        add_hook_to_module(part, AlignDevicesHook(execution_device="cpu"))
    return model


def converted() -> Any:
    model = tiny_llama()
    model.forward = MethodType(convert_outputs_to_fp32(type(model).forward), model)
    return model


def around_forward() -> Any:
    model = tiny_llama()
    for part in (model, *model.model.layers, *(layer.mlp for layer in model.model.layers)):
        before = part.forward
        part.forward = lambda *args, _before=before, **kwargs: _before(*args, **kwargs)
    return model


def in_no_graph() -> Any:
    with torch.inference_mode():
        return tiny_llama()


def with_what_cannot_be_copied() -> Any:
    model = tiny_llama()
    model.lock = threading.Lock()
    model.results = [model(TOKENS).logits]
    model.model.layers[0].mlp.register_forward_hook(Recorder(model))
    model(TOKENS)
    return model


class Recorder:
    def __init__(self, model: Any) -> None:
        self.model, self.lock, self.kept = model, threading.Lock(), []

    def __call__(self, _module: Any, _args: Any, output: Tensor) -> None:
        self.kept.append(output)


@pytest.mark.parametrize(
    "build",
    [
        whole, its_forward, its_layers, aligned, converted, around_forward, in_no_graph,
        with_what_cannot_be_copied,
    ],
)  # fmt: skip
def test_a_model_is_read_as_it_computes_itself_and_its_revision_is_that_of_its_weights(
    build: Callable[[], Any],
) -> None:
    model = build()
    names = list(model.state_dict())
    expected = neurons(model)
    torch.testing.assert_close(read(model), expected)
    torch.testing.assert_close(neurons(model), expected)
    assert list(model.state_dict()) == names
    assert tiny_subject(model).revision == tiny_subject().revision


def test_weights_that_are_packed_and_tensors_without_values_are_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, which will do so elsewhere
        packed = torch.ao.quantization.quantize_dynamic(tiny_llama(), {nn.Linear})
    with pytest.raises(InputError, match=r"this LlamaForCausalLM holds packed weights \(model\.la"):
        tiny_subject(packed)
    half_loaded = tiny_llama()
    half_loaded.model.rotary_emb.to("meta")
    with pytest.raises(InputError, match="LlamaForCausalLM has no weights"):
        tiny_subject(half_loaded)


def test_a_name_of_slashes_alone_is_none() -> None:
    assert wrap_subject(tiny_llama(), tiny_tokenizer(), name="/").name == "LlamaForCausalLM"
