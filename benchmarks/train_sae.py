"""A small sparse autoencoder on one layer, trained with sae-lens and written by it.

Three steps, as sae-lens needs another transformer-lens than this project and so an environment of
its own (`pip install torch==2.13.0 sae-lens==6.54.12`). Activations are read by this project; the
training is top-k, whose number of active latents is set and not found by a penalty's weight, and
has sae-lens' auxiliary loss for latents that have died; and the result is measured here:

    python benchmarks/train_sae.py read --out /tmp/sae
    SAE_ENV/bin/python benchmarks/train_sae.py train --out /tmp/sae
    python benchmarks/train_sae.py measure --out /tmp/sae
    autointerp study latents smollm2-135m --sae /tmp/sae/sae --out /tmp/study --llm none
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_READ, _SAE, _REFERENCE = "activations.npy", "sae", "reference.npz"
_BATCH_WINDOWS = 32


def main() -> None:
    """Does one step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    steps = parser.add_subparsers(required=True)
    for step in (read, train, measure):
        own = steps.add_parser(step.__name__, help=(step.__doc__ or "").splitlines()[0])
        own.set_defaults(step=step)
        own.add_argument("--out", type=Path, required=True)
        own.add_argument("--subject", default="smollm2-135m")
        own.add_argument("--hook", default="blocks.10.hook_resid_post")
        own.add_argument("--tokens", type=int, default=400_000)
        own.add_argument("--latents", type=int, default=3072)
        own.add_argument("--k", type=int, default=32)
        own.add_argument("--samples", type=int, default=1_600_000, help="tokens trained on")
        own.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    result = given.step(given) | {"minutes": round((time.monotonic() - began) / 60, 1)}
    (given.out / f"{given.step.__name__}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def read(given: argparse.Namespace) -> dict[str, Any]:
    """Writes the activations of explain and validation text at the hook point, float16."""
    from autointerp.core.text import Split  # noqa: PLC0415 - sae-lens' environment has none of it

    subject, corpus = _opened(given)
    ids = [n for split in (Split.EXPLAIN, Split.VALIDATION) for n in corpus.window_ids(split)]
    given.out.mkdir(parents=True, exist_ok=True)
    parts = [_rows(subject, corpus, given.hook, ids[at : at + 64]) for at in range(0, len(ids), 64)]
    rows = torch.cat(parts)
    if not torch.isfinite(rows.half()).all():
        raise SystemExit(f"activations of {given.hook} are beyond float16; choose another layer")
    np.save(given.out / _READ, rows.half().numpy())
    return {"subject": given.subject, "hook": given.hook, "n_tokens": len(rows)}


def train(given: argparse.Namespace) -> dict[str, Any]:
    """Trains on them and writes the folder; in sae-lens' environment."""
    import sae_lens  # noqa: PLC0415 - in an environment of its own
    from sae_lens.config import SAETrainerConfig  # noqa: PLC0415
    from sae_lens.training.sae_trainer import SAETrainer  # noqa: PLC0415

    torch.manual_seed(given.seed)
    rows = torch.from_numpy(np.load(given.out / _READ))
    model = sae_lens.TopKTrainingSAE(
        sae_lens.TopKTrainingSAEConfig(
            d_in=rows.shape[1],
            d_sae=given.latents,
            k=given.k,
            normalize_activations="expected_average_only_in",
        )
    )
    model.cfg.metadata.model_name = given.subject
    model.cfg.metadata.hook_name = given.hook
    model.cfg.metadata.prepend_bos = True
    batch = 1024
    config = SAETrainerConfig(
        total_training_samples=given.samples,
        train_batch_size_samples=batch,
        lr=4e-4,
        lr_end=4e-5,
        lr_warm_up_steps=100,
        lr_decay_steps=given.samples // batch // 5,
        dead_feature_window=200,
        n_batches_for_norm_estimate=50,
    )
    trained = SAETrainer(config, model, _batches(rows, batch, given.seed)).fit()
    trained.save_inference_model(given.out / _SAE)
    first = rows[:256].float()
    with torch.no_grad():
        latents = sae_lens.SAE.load_from_disk(given.out / _SAE).encode(first)
    np.savez(given.out / _REFERENCE, inputs=first.numpy(), latents=latents.numpy())
    return {"d_sae": given.latents, "k": given.k, "samples": given.samples}


def _batches(rows: Tensor, size: int, seed: int) -> Iterator[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(rows), generator=draw)
        for at in range(0, len(rows) - size + 1, size):
            yield rows[order[at : at + size]].float()


@torch.no_grad()
def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Tells what the SAE is worth on text held out, read by this project's own encoder."""
    from safetensors.torch import load_file  # noqa: PLC0415

    from autointerp.core.text import Split  # noqa: PLC0415
    from autointerp.subjects.sae import load_sae  # noqa: PLC0415

    subject, corpus = _opened(given)
    encoder = load_sae(given.out / _SAE)
    weights = load_file(given.out / _SAE / "sae_weights.safetensors")
    reference = np.load(given.out / _REFERENCE)
    own = encoder.encode(torch.from_numpy(reference["inputs"])[None])[0]
    ids = list(corpus.window_ids(Split.HELD_OUT))[:512]
    rows = _rows(subject, corpus, given.hook, ids)
    latents = encoder.encode(rows[None])[0]
    made = latents @ weights["W_dec"] + weights["b_dec"]
    active = (latents > 0).float().mean(dim=0)
    losses = _losses(subject, corpus, given.hook, ids[:128], encoder, weights)
    return {
        "n_tokens": len(rows),
        "largest_difference_from_sae_lens": float(
            (own - torch.from_numpy(reference["latents"])).abs().max()
        ),
        "variance_explained": float(
            1 - (rows - made).square().sum() / (rows - rows.mean(dim=0)).square().sum()
        ),
        "active_latents_of_a_token": float((latents > 0).float().sum(dim=1).mean()),
        "dead_share": float((active == 0).float().mean()),
        "dense_share": float((active > 0.1).float().mean()),
        "loss_nats": losses,
        "loss_recovered": (losses["zero"] - losses["spliced"]) / (losses["zero"] - losses["whole"]),
    }


def _losses(
    subject: Any, corpus: Any, hook: str, ids: list[int], encoder: Any, weights: dict[str, Tensor]
) -> dict[str, float]:
    """Nats a token: of the model, with the reconstruction in place, and with nothing there."""

    def spliced(activations: Tensor, hook: Any) -> Tensor:  # noqa: ARG001 - its name is given
        text = activations[:, 1:]  # The first token is no text, and the SAE never read it.
        made = encoder.encode(text) @ weights["W_dec"] + weights["b_dec"]
        return torch.cat([activations[:, :1], made], dim=1)

    def zero(activations: Tensor, hook: Any) -> Tensor:  # noqa: ARG001
        return torch.cat([activations[:, :1], torch.zeros_like(activations[:, 1:])], dim=1)

    name = subject.tl_name(hook)
    kinds: dict[str, list[Any]] = {
        "whole": [],
        "spliced": [(name, spliced)],
        "zero": [(name, zero)],
    }
    sums, n = dict.fromkeys(kinds, 0.0), 0
    for at in range(0, len(ids), _BATCH_WINDOWS):
        tokens, lengths = corpus.batch(ids[at : at + _BATCH_WINDOWS])
        whole = torch.from_numpy(tokens.astype(np.int64))
        inputs = torch.nn.functional.pad(whole, (1, 0), value=subject.tokenizer.bos_id)
        there = torch.arange(whole.shape[1]) < torch.from_numpy(lengths.astype(np.int64))[:, None]
        n += int(there.sum())
        for kind, hooks in kinds.items():
            logits = subject.bridge.run_with_hooks(inputs, fwd_hooks=hooks, return_type="logits")
            nats = torch.nn.functional.cross_entropy(
                logits[:, :-1].transpose(1, 2), whole, reduction="none"
            )
            sums[kind] += float(nats[there].sum())
    return {kind: round(total / n, 4) for kind, total in sums.items()}


def _opened(given: argparse.Namespace) -> tuple[Any, Any]:
    import autointerp as ai  # noqa: PLC0415

    subject = ai.load_subject(given.subject)
    corpus = ai.load_corpus("wiki=0.7,python=0.3", subject, n_tokens=given.tokens, seed=given.seed)
    return subject, corpus


@torch.no_grad()
def _rows(subject: Any, corpus: Any, hook: str, ids: list[int]) -> Tensor:
    """Activations of the tokens of some windows, shape (token, d_in), float32."""
    parts = list[Tensor]()
    for at in range(0, len(ids), _BATCH_WINDOWS):
        tokens, lengths = corpus.batch(ids[at : at + _BATCH_WINDOWS])
        there = torch.arange(tokens.shape[1]) < torch.from_numpy(lengths.astype(np.int64))[:, None]

        def receive(_hook: str, activations: Tensor, there: Tensor = there) -> None:
            parts.append(activations.float()[there])

        subject.read(torch.from_numpy(tokens.astype(np.int64)), [hook], receive)
    return torch.cat(parts)


if __name__ == "__main__":
    main()
