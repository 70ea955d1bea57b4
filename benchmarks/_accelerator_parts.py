"""One part of `accelerator.py`: a shape, what it takes to read it, and whether the CPU agrees.

python _accelerator_parts.py gpt2-small cuda FILE [--tiny]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _accelerator_agreement import Cpu, activations_agree, summaries_agree
from _accelerator_subjects import (
    SHAPES,
    Shape,
    make_model,
    random_sae,
    subject_of,
    weights_of_layers,
)
from _parts import N_VOCABULARY, compare, peak_mib, random_text

from autointerp.activations import collect, live_activations, read_windows
from autointerp.activations.collection import canonical_batches
from autointerp.core.config import CollectConfig
from autointerp.core.errors import AutointerpError
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel, all_neurons

PEAK_TFLOPS = {
    "NVIDIA H200": (989.0, 67.0),
    "NVIDIA H100 80GB HBM3": (989.0, 67.0),
    "NVIDIA H100 PCIe": (756.0, 51.0),
    "NVIDIA A100-SXM4-40GB": (312.0, 19.5),
    "NVIDIA A100-SXM4-80GB": (312.0, 19.5),
    "NVIDIA A100-PCIE-40GB": (312.0, 19.5),
    "NVIDIA A100 80GB PCIe": (312.0, 19.5),
    "NVIDIA L40S": (362.0, 91.6),
    "NVIDIA L4": (121.0, 30.3),
    "NVIDIA A10": (125.0, 31.2),
}
"""Dense TFLOP/s in bfloat16 and in float32 (no TF32), as NVIDIA's data sheets give them."""
N_CTX = 64
ROUNDS = 2


@dataclass(frozen=True)
class Sizes:
    """How much is read."""

    tokens: int
    compared_tokens: int
    batch_windows: int
    units: int
    windows: int
    texts: int


FULL = Sizes(262_144, 8_192, 256, units=100, windows=60, texts=64)
TINY = Sizes(1_024, 512, 4, units=3, windows=4, texts=3)


@dataclass(frozen=True)
class Work:
    """Something that reads tokens, and the forward pass that it is held against."""

    n_tokens: int
    base: Callable[[], object]
    measured: Callable[[], object]


class Part:
    """A shape on a device, with everything that is read of it."""

    def __init__(self, shape: Shape, device: str, sizes: Sizes) -> None:
        self.shape, self.sizes = shape, sizes
        self.model = make_model(shape, device)
        self.subject = subject_of(self.model, shape.name, device)
        self.config = CollectConfig(batch_windows=sizes.batch_windows)
        self.corpus = random_text(sizes.tokens, n_ctx=N_CTX)
        self.units = self._units(self.subject)
        layer = self.subject.n_layers - 1
        self.base_hooks = [f"blocks.{layer}.hook_resid_post"]
        if shape.sae:
            self.base_hooks = [unit.hook for unit in self.units]

    def _units(self, subject: SubjectModel) -> list[HookUnits]:
        if not self.shape.sae:
            return list(all_neurons(subject))
        hook = f"blocks.{subject.n_layers // 2}.hook_resid_post"
        sae = random_sae(hook, subject.width(hook))
        return [HookUnits(subject.attach(sae), tuple(range(sae.n_units)))]

    def works(self) -> dict[str, Work]:
        """Collection, records and live activations."""
        requests, texts = self.requests(), self.texts()
        windows = sorted({window for asked in requests.values() for window in asked})
        last = [self.units[-1]]
        return {
            "collection": Work(
                self.corpus.n_tokens,
                lambda: self.forward(self.corpus, None),
                lambda: collect(self.subject, self.corpus, units=self.units, config=self.config),
            ),
            "records": Work(
                N_CTX * len(windows),
                lambda: self.forward(self.corpus, windows),
                lambda: self.records(self.subject),
            ),
            "live": Work(
                N_CTX * len(texts),
                lambda: self.read(np.array([list(text.encode()) for text in texts])),
                lambda: live_activations(
                    self.subject, texts, units=last, batch_texts=self.sizes.batch_windows
                ),
            ),
        }

    def requests(self) -> dict[tuple[str, int], list[int]]:
        """Some windows of some units, spread over all hook points."""
        drawn = np.random.default_rng(0)
        asked = {}
        for number in range(self.sizes.units):
            unit = self.units[number % len(self.units)]
            windows = drawn.choice(len(self.corpus), self.sizes.windows, replace=False)
            asked[unit.hook, int(drawn.choice(unit.indices))] = windows.tolist()
        return asked

    def texts(self) -> list[str]:
        """Texts of one token a letter."""
        letters = np.random.default_rng(1).integers(97, 123, (self.sizes.texts, N_CTX))
        return [bytes(row.tolist()).decode() for row in letters]

    def records(self, subject: SubjectModel) -> Any:
        """Activations of the asked units on the windows asked for."""
        batch = self.sizes.batch_windows
        return read_windows(subject, self.corpus, self.requests(), batch_windows=batch)

    def forward(self, corpus: TokenCorpus, windows: Sequence[int] | None) -> None:
        """The forward pass of windows, or of a whole corpus, that keeps nothing."""
        batch = self.sizes.batch_windows
        if windows is None:
            for _, _, ids in canonical_batches(corpus, batch):
                self.read(corpus.batch(ids)[0])
            return
        for first in range(0, len(windows), batch):
            self.read(corpus.batch(windows[first : first + batch])[0])

    def read(self, tokens: np.ndarray[Any, Any]) -> None:
        """One batch through all layers, or through the bare encoder."""
        ids = torch.from_numpy(tokens.astype(np.int64) % N_VOCABULARY)
        self.subject.read(ids, self.base_hooks, lambda _hook, _activations: None)

    def agreement(self) -> dict[str, dict[str, Any]]:
        """Each kind of reading against the CPU."""
        small = random_text(self.sizes.compared_tokens, n_ctx=N_CTX)
        options: Any = {"units": self.units, "config": self.config}
        there = collect(self.subject, small, **options)
        here = collect(Cpu(self.subject), small, **options)
        cpu = subject_of(self.model, self.shape.name, "cpu")
        self._units(cpu)
        few = self.texts()[:2]
        last = [self.units[-1]]
        live = [live_activations(subject, few, units=last) for subject in (self.subject, cpu)]
        asked = {unit: windows[:2] for unit, windows in list(self.requests().items())[:20]}
        records = [read_windows(subject, self.corpus, asked) for subject in (self.subject, cpu)]
        return {
            "collection": summaries_agree(there, here),
            "records": activations_agree(*(np.concatenate(list(r.values())) for r in records)),
            "live": activations_agree(*(np.stack([t.values for t in texts]) for texts in live)),
        }


def timed(work: Work, *, ideal_s: float | None, device: torch.device) -> dict[str, Any]:
    """Speed, ratio to the forward pass, share of the peak, and peak memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    found = compare(work.base, work.measured, ROUNDS)
    speed = work.n_tokens / float(np.median(found.measured))
    cuda = device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if cuda else peak_mib()
    return {
        "tokens": work.n_tokens,
        "tokens_per_s": speed,
        "base_tokens_per_s": work.n_tokens / float(np.median(found.base)),
        "ratio": found.ratio,
        "share_of_peak": None if ideal_s is None else ideal_s * speed,
        "peak_mib": peak,
    }


def ideal_seconds(part: Part, peak: tuple[float, float] | None) -> float | None:
    """Seconds that a token would take at the device's peak; None where that is not known.

    2 FLOP for each weight of the layers, in bfloat16, and of the encoder, in float32; the scores
    of attention are not counted.
    """
    if peak is None:
        return None
    layers = 2 * weights_of_layers(part.model) / (peak[0] * 1e12)
    d_in = part.shape.width
    return layers + (2 * 16 * d_in * d_in / (peak[1] * 1e12) if part.shape.sae else 0.0)


def run(name: str, device_name: str, *, tiny: bool, keep: Callable[[dict[str, Any]], None]) -> str:
    """Measures a part and hands over what is known after each step; what failed, or nothing."""
    shape = SHAPES[name].tiny() if tiny else SHAPES[name]
    torch.manual_seed(0)
    part = Part(shape, device_name, TINY if tiny else FULL)
    device = part.subject.device
    called = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    peak = PEAK_TFLOPS.get(called)
    result: dict[str, Any] = {
        "device": called,
        "peak_tflops_bf16_fp32": peak,
        "versions": {name: version(name) for name in ("torch", "transformers", "numba", "numpy")},
        "read_by": type(part.subject.bridge).__name__,
        "dtype": part.subject.dtype_name,
        "n_units": sum(len(unit.indices) for unit in part.units),
        "batch_windows": part.sizes.batch_windows,
        "n_ctx": N_CTX,
        "measured": {},
    }
    ideal_s = ideal_seconds(part, peak)
    for what, work in part.works().items():
        result["measured"][what] = timed(work, ideal_s=ideal_s, device=device)
        keep(result)
    result["agreement"] = part.agreement()
    keep(result)
    return "; ".join(
        f"{what} does not agree with the CPU: {found}"
        for what, found in result["agreement"].items()
        if not found["agrees"]
    )


def main() -> int:
    """Writes a part's results; its error is among them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SHAPES)
    parser.add_argument("device")
    parser.add_argument("out", type=Path)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {}

    def keep(found: dict[str, Any]) -> None:
        result.update(found)
        given.out.write_text(json.dumps(result))

    try:
        error = run(given.name, given.device, tiny=given.tiny, keep=keep)
    except (AutointerpError, RuntimeError, TypeError, ValueError) as raised:
        lines = [line for line in str(raised).splitlines() if line.strip()]
        error = f"{type(raised).__name__}: {lines[0] if lines else ''}"
    keep({"error": error[:300] or None})
    return int(bool(error))


if __name__ == "__main__":
    sys.exit(main())
