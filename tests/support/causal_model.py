"""A two-layer model in which it is known what each planted neuron does to the logits.

A GPT-2 whose attention writes nothing and whose token embeddings are orthonormal, so that a token
makes only itself probable, but for what neurons write:

- layer 0, neuron 0 ("writer"): at " river" it writes a vector that no token embeds;
- layer 1, neuron 0 ("eraser"): reads that vector and writes as much of it away again;
- layer 1, neuron 1 ("suppressor"): at " May" it writes against " runs";
- layer 1, neuron 2 ("promoter"): at " May" it writes for " dry".

All other neurons read at random and write next to nothing.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tiny import tiny_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from autointerp.core.ids import UnitId
from autointerp.subjects import SubjectModel, wrap_subject

_WIDTH, _N_NEURONS, _SIZE = 288, 24, 0.5
_FREE = 285
"""A coordinate that no token embeds."""


def causal_subject() -> SubjectModel:
    """The wrapped model, under the name ``causal``."""
    return wrap_subject(causal_model(), tiny_tokenizer(), name="causal", device="cpu")


def write_causal(folder: Path) -> Path:
    """The folder, with the model and its tokenizer as transformers reads them."""
    causal_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def neuron(layer: int, index: int) -> UnitId:
    """One of its neurons."""
    return UnitId("causal", f"blocks.{layer}.mlp.hook_post", index)


def causal_model() -> GPT2LMHeadModel:
    """The model itself."""
    tokenizer = tiny_tokenizer()
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=_WIDTH,
        n_layer=2,
        n_head=2,
        n_inner=_N_NEURONS,
        n_positions=64,
        activation_function="relu",
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config).eval()
    token = {text: tokenizer.encode(text)[0] for text in (" river", " May", " runs", " dry")}
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if "ln_" in name and name.endswith("weight") else 0.0)
        model.transformer.wte.weight.copy_(_SIZE * torch.eye(len(tokenizer), _WIDTH))
        for block in model.transformer.h:
            block.mlp.c_fc.weight.normal_(0, 0.05, generator=generator)
            block.mlp.c_proj.weight.normal_(0, 1e-4, generator=generator)
            block.mlp.c_fc.weight[:, :3] = 0.0
            block.mlp.c_proj.weight[:3] = 0.0
        first, second = (block.mlp for block in model.transformer.h)
        # A token's own coordinate is far above all others behind the norm; half of that is cut.
        for mlp, place, read in (
            (first, 0, token[" river"]),
            (second, 0, _FREE),
            (second, 1, token[" May"]),
            (second, 2, token[" May"]),
        ):
            mlp.c_fc.weight[read, place] = 1.0
            mlp.c_fc.bias[place] = -4.0
        first.c_proj.weight[0, _FREE] = 1.0
        second.c_proj.weight[1, token[" runs"]] = -1.0
        second.c_proj.weight[2, token[" dry"]] = 1.0
        _fit_eraser(model, token[" river"])
    return model


def _fit_eraser(model: GPT2LMHeadModel, river: int) -> None:
    """The eraser's output weight, such that nothing of what the writer wrote is left."""
    values: list[torch.Tensor] = []
    for block in model.transformer.h:
        block.mlp.c_proj.register_forward_pre_hook(lambda _, args: values.append(args[0]))
    model(torch.tensor([[0, river]]))
    for block in model.transformer.h:
        block.mlp.c_proj._forward_pre_hooks.clear()  # noqa: SLF001
    written, read = (float(value[0, 1, 0]) for value in values)
    model.transformer.h[1].mlp.c_proj.weight[0, _FREE] = -written / read
