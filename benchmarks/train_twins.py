"""Twin models, one with SoLU and one with GELU: the same text in the same order, the same start.

TransformerLens' own models of a few MB on the offline corpora (Wikipedia's excerpt and Python's
library), written in folders that `autointerp` reads as subjects, with `twins.json` beside them:
what was trained, for how long, and the loss on documents held out, before and after. As in Elhage
et al. 2022 (https://transformer-circuits.pub/2022/solu) a LayerNorm stands behind SoLU.

    python benchmarks/train_twins.py --out /tmp/twins
    autointerp study solu /tmp/twins/solu /tmp/twins/gelu --out /tmp/study
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
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedTokenizerFast

from autointerp.corpora.sources import open_source

KINDS = {"solu": "solu_ln", "gelu": "gelu"}
_BOS = "<|endoftext|>"
_LENGTH = 128
"""Tokens of a training window, behind the first one of every window."""
_SHAPE = {"d_model": 128, "d_head": 32, "n_heads": 4, "n_layers": 2, "n_ctx": 256, "d_mlp": 512}
_HELD_OUT = 20
"""Each such document is held out."""


def main() -> None:
    """Trains both models in turn, batch by batch, and writes them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corpora", nargs="+", default=["wiki", "python"])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--windows", type=int, default=16, help="of a step")
    parser.add_argument("--characters", type=int, default=12_000_000, help="of each corpus at most")
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began = time.monotonic()
    texts, held = _texts(given.corpora, given.characters, given.seed)
    tokenizer = _tokenizer(texts, given.vocabulary)
    train, test = (_windows(tokenizer, some) for some in (texts, held))
    twins = make_twins(len(tokenizer), given.seed)
    before = {kind: _loss(twin, test) for kind, twin in twins.items()}
    _train(twins, train, given.steps, given.windows, given.seed)
    for kind, twin in twins.items():
        _write(given.out / kind, kind, twin, tokenizer)
    report = {
        "shape": {**_SHAPE, "d_vocab": len(tokenizer)},
        "n_parameters": {kind: sum(p.numel() for p in _parameters(t)) for kind, t in twins.items()},
        "corpora": given.corpora,
        "n_documents": [len(texts), len(held)],
        "n_tokens_read": given.steps * given.windows * _LENGTH,
        "n_tokens_there": train.numel(),
        "steps": given.steps,
        "seed": given.seed,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "loss_before_nats": before,
        "loss_after_nats": {kind: _loss(twin, test) for kind, twin in twins.items()},
    }
    (given.out / "twins.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def make_twins(d_vocab: int, seed: int) -> dict[str, Any]:
    """Both models with the same weights; SoLU's LayerNorm, which GELU has none of, is one of 1."""
    twins = {
        kind: TransformerBridge.boot_native(
            TransformerBridgeConfig(
                **_SHAPE, d_vocab=d_vocab, act_fn=name, normalization_type="LN", seed=seed
            )
        )
        for kind, name in KINDS.items()
    }
    common = twins["solu"].state_dict()
    for name, tensor in twins["gelu"].state_dict().items():
        tensor.copy_(common[name])
    return twins


def _texts(corpora: list[str], most: int, seed: int) -> tuple[list[str], list[str]]:
    """Documents of all corpora, shuffled together: to train on, and held out."""
    rng = np.random.default_rng(seed)
    documents = list[str]()
    for name in corpora:
        n = 0
        for document in open_source(name).documents(rng):
            documents.append(document.text)
            n += len(document.text)
            if n >= most:
                break
    documents = [documents[place] for place in rng.permutation(len(documents))]
    held = documents[::_HELD_OUT]
    return [text for n, text in enumerate(documents) if n % _HELD_OUT], held


def _tokenizer(texts: list[str], size: int) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[_BOS], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=_BOS, eos_token=_BOS)


def _windows(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> Tensor:
    """Windows of whole length that never cross a document, each behind the first token."""
    rows = list[Tensor]()
    for text in texts:
        ids = torch.tensor(tokenizer.encode(text, add_special_tokens=False), dtype=torch.long)
        whole = ids[: len(ids) // _LENGTH * _LENGTH].reshape(-1, _LENGTH)
        first = torch.full((len(whole), 1), tokenizer.bos_token_id)
        rows.append(torch.cat([first, whole], dim=1))
    if not any(len(row) for row in rows):
        some = f"of {len(texts)} documents to train on or held out"
        raise SystemExit(f"{some}, no document is as long as a window, {_LENGTH} tokens: give more")
    return torch.cat(rows)


def _parameters(twin: Any) -> Iterator[Tensor]:
    return iter(twin.original_model.parameters())


def _batch_loss(twin: Any, rows: Tensor) -> Tensor:
    logits = twin.original_model(rows)[:, :-1]
    return cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


@torch.no_grad()
def _loss(twin: Any, windows: Tensor) -> float:
    """Mean nats a token over the first windows held out."""
    parts = torch.split(windows[:1024], 64)
    total = sum(float(_batch_loss(twin, part)) * len(part) for part in parts)
    return round(total / sum(map(len, parts)), 4)


def _train(twins: dict[str, Any], train: Tensor, steps: int, n: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    optimizers = {
        kind: torch.optim.AdamW(_parameters(twin), lr=2e-3, weight_decay=0.01)
        for kind, twin in twins.items()
    }
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(one, 2e-3, total_steps=steps + 1)
        for one in optimizers.values()
    ]
    for step in range(steps):
        rows = train[torch.randint(len(train), (n,), generator=draw)]
        losses = {}
        for kind, twin in twins.items():
            loss = _batch_loss(twin, rows)
            optimizers[kind].zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(_parameters(twin), 1.0)
            optimizers[kind].step()
            losses[kind] = round(loss.item(), 3)
        for schedule in schedules:
            schedule.step()
        if step % 100 == 0:
            print(step, losses, flush=True)


def _write(folder: Path, kind: str, twin: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    d_vocab = len(tokenizer)
    config = {**_SHAPE, "d_vocab": d_vocab, "act_fn": KINDS[kind], "normalization": "LN"}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    tensors = {name: tensor.contiguous().clone() for name, tensor in twin.state_dict().items()}
    save_file(tensors, folder / "model_final.safetensors")
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()
