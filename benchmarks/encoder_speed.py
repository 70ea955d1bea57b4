"""What collecting the latents of SAEs costs beside the forward pass with the bare encoders.

SAEs of 16 times the width of SmolLM2-135M on three layers, with random weights, so that many more
latents are active than in a trained one. The base reads the same hook points, encodes, and keeps
nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from _parts import compare, header
from safetensors.torch import save_file

from autointerp.activations import collect
from autointerp.activations.collection import canonical_batches
from autointerp.core.config import CollectConfig
from autointerp.corpora import load_corpus
from autointerp.subjects import HookUnits, SubjectModel, load_sae, load_subject

LAYERS, FACTOR = (5, 15, 25), 16


def write_sae(folder: Path, hook: str, d_in: int) -> Path:
    """A SAELens folder with random weights."""
    generator = torch.Generator().manual_seed(0)
    d_sae = FACTOR * d_in
    encoder = torch.randn((d_in, d_sae), generator=generator) / d_in**0.5
    tensors = {
        "W_enc": encoder,
        "W_dec": encoder.T.contiguous(),
        "b_enc": torch.full((d_sae,), -2.0),
        "b_dec": torch.zeros(d_in),
    }
    folder.mkdir()
    save_file(tensors, folder / "sae_weights.safetensors")
    config = {
        "architecture": "standard",
        "d_in": d_in,
        "d_sae": d_sae,
        "dtype": "float32",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"hook_name": hook},
    }
    (folder / "cfg.json").write_text(json.dumps(config))
    return folder


def attached(subject: SubjectModel, folder: Path) -> list[HookUnits]:
    """All latents of an SAE on each of the layers."""
    units = []
    for layer in LAYERS:
        hook = f"blocks.{layer}.hook_resid_post"
        sae = load_sae(write_sae(folder / f"layer_{layer}", hook, subject.width(hook)))
        units.append(HookUnits(subject.attach(sae), tuple(range(sae.n_units))))
    return units


def main() -> None:
    """Prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    subject = load_subject("smollm2-135m")
    corpus = load_corpus("wiki", subject, n_tokens=arguments.tokens, n_ctx=64)
    with tempfile.TemporaryDirectory() as folder:
        units = attached(subject, Path(folder))
    hooks = [unit.hook for unit in units]

    def bare() -> None:
        for _, _, ids in canonical_batches(corpus, CollectConfig().batch_windows):
            tokens, _ = corpus.batch(ids)
            subject.read(torch.from_numpy(tokens.astype(np.int64)), hooks, lambda _h, _a: None)

    found = compare(bare, lambda: collect(subject, corpus, units=units), arguments.rounds)
    density = np.mean(
        [part.density.mean() for part in collect(subject, corpus, units=units).values()]
    )
    print(header(), "\n")
    n = sum(len(unit.indices) for unit in units)
    print(f"{n:,} latents of {len(LAYERS)} layers, {density:.1%} of activations above 0")
    base, measured = (corpus.n_tokens / statistics.median(p) for p in (found.base, found.measured))
    print(f"bare {base:,.0f} tokens/s, collecting {measured:,.0f}: ratio {found.ratio:.2f}")


if __name__ == "__main__":
    main()
