"""The constants of `autointerp.orchestration.machine_costs` that a run of ``label`` does not tell.

CPU time of one thread: of plain forward passes of one Llama-shaped layer at several widths, as
floating-point operations a second, and of collecting beside the forward, by activation. One thread
spins nowhere, so that other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from _parts import byte_tokenizer, header, plain_batch, random_gpt2, random_text
from transformers import LlamaConfig, LlamaForCausalLM

from autointerp.activations import CollectPlan, collect
from autointerp.activations.collection import canonical_batches
from autointerp.core.model_shape import shape_of_config
from autointerp.subjects import SubjectModel, all_neurons, wrap_subject

_HEAD = 64
_ROUNDS = 3


def main() -> None:
    """Prints a line a width and dtype, then a line of collecting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 256, 576, 1024, 2048, 4096])
    parser.add_argument("--tokens", type=int, default=4096, help="Of collecting.")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(header(), "\n")
    _forwards(arguments.widths)
    _collecting(arguments.tokens)


def _forwards(widths: Sequence[int]) -> None:
    corpus = random_text(32 * 64)
    for dtype in (torch.float32, torch.bfloat16):
        for width in widths:
            subject = _llama(width, dtype)
            config = subject.bridge.original_model.config.to_dict()
            n_weights = shape_of_config(subject.name, config).layer_weights * subject.n_layers
            seconds = _cpu_s(lambda s=subject: plain_batch(s, corpus, range(32)))  # type: ignore[misc]
            rate = 2 * n_weights * 32 * 65 / seconds
            print(f"{str(dtype)[6:]:9} width {width:5}: {rate / 1e9:7.1f} GFLOP/s", flush=True)


def _llama(width: int, dtype: torch.dtype) -> SubjectModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=width,
        intermediate_size=round(width * 8 / 3),
        num_hidden_layers=1 if width > 1024 else 4,  # noqa: PLR2004
        num_attention_heads=max(1, width // _HEAD),
        num_key_value_heads=max(1, width // _HEAD),
        max_position_embeddings=256,
        tie_word_embeddings=True,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).to(dtype)
    return wrap_subject(model, byte_tokenizer(), name=f"llama-{width}")


def _collecting(n_tokens: int) -> None:
    """Collecting all neurons of a GPT-2, with and without token tables, less the forward."""
    subject, corpus = random_gpt2(), random_text(n_tokens)
    units = all_neurons(subject)
    n_activations = sum(len(u.indices) for u in units) * corpus.n_tokens
    batches = [ids for _, _, ids in canonical_batches(corpus, 32)]

    def forward() -> None:
        for ids in batches:
            plain_batch(subject, corpus, ids)

    plain = _cpu_s(forward)
    for tables in (False, True):
        plan = CollectPlan(token_means=tables)
        whole = _cpu_s(lambda p=plan: collect(subject, corpus, units=units, plan=p))  # type: ignore[misc]
        spent = 1e9 * (whole - plain) / n_activations
        name = "with tables" if tables else "without tables"
        print(f"collecting {name}: {spent:.2f} ns an activation")


def _cpu_s(work: Callable[[], object]) -> float:
    """The least CPU time of a few rounds, after one that is not counted."""
    work()
    seconds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
