"""What several benchmarks need: interleaved timing, a random model, text of any length."""

from __future__ import annotations

import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from autointerp.corpora import TokenCorpus
from autointerp.subjects import SubjectModel, wrap_subject

N_VOCABULARY = 256


@dataclass(frozen=True)
class Comparison:
    """Seconds of each round of two pieces of work, done in turn."""

    base: list[float]
    measured: list[float]

    @property
    def ratio(self) -> float:
        """Speed of the measured work over that of its base: the median over rounds."""
        pairs = zip(self.base, self.measured, strict=True)
        return statistics.median(base / measured for base, measured in pairs)


def compare(base: Callable[[], object], measured: Callable[[], object], rounds: int) -> Comparison:
    """Both in turn, A B B A, after one untimed round of each."""
    base()
    measured()
    found = Comparison([], [])
    for number in range(rounds):
        for first in (number % 2 == 0, number % 2 == 1):
            (found.base if first else found.measured).append(seconds(base if first else measured))
    return found


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, the device's queue included."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def plain_forward(subject: SubjectModel, tokens: Tensor) -> None:
    """Tokens through all layers, without logits: what collection is held against."""
    subject.read(tokens, (f"blocks.{subject.n_layers - 1}.hook_out",), lambda _hook, _acts: None)


def plain_batch(subject: SubjectModel, corpus: TokenCorpus, ids: range) -> None:
    """One batch of windows through all layers."""
    tokens, lengths = corpus.batch(ids)
    plain_forward(subject, torch.from_numpy(tokens[:, : lengths.max()].astype(np.int64)))


def random_gpt2(
    *, n_layers: int = 6, width: int = 256, dtype: torch.dtype = torch.float32
) -> SubjectModel:
    """A GPT-2 with random weights and one token a byte."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=N_VOCABULARY,
        n_embd=width,
        n_layer=n_layers,
        n_head=max(1, width // 64),
        n_positions=256,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config).to(dtype)
    return wrap_subject(model, byte_tokenizer(), name=f"gpt2-{n_layers}x{width}")


def byte_tokenizer() -> Any:
    """A tokenizer with one token a byte, and no others."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: place for place, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def random_text(n_tokens: int, *, n_ctx: int = 64) -> TokenCorpus:
    """So many random tokens in whole windows, one document to a window."""
    n = n_tokens // n_ctx
    tokens = np.random.default_rng(0).integers(1, N_VOCABULARY, n * n_ctx, dtype=np.int32)
    documents = tuple(f"{number:016x}" for number in range(n))
    return TokenCorpus(
        id=f"random:{n_tokens}",
        hash=f"{n_tokens:064x}",
        split_hash=f"{n:064x}",
        n_ctx=n_ctx,
        seed=0,
        tokens=tokens,
        starts=np.arange(n + 1, dtype=np.int64) * n_ctx,
        offsets=np.zeros(n, dtype=np.int64),
        document_of=np.arange(n, dtype=np.int32),
        documents=documents,
        sources=dict.fromkeys(documents, "random"),
        ends=(n // 2, n // 2 + n // 10, n),
    )


def peak_mib() -> float:
    """Peak resident memory of this process."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def in_another_process(script: str, *arguments: str) -> float:
    """The number that a script prints, from a process of its own."""
    ended = subprocess.run(
        [sys.executable, script, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )
    return float(ended.stdout)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def header() -> str:
    """Time, processor, threads, accelerator and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    packages = ("torch", "transformers", "transformer-lens", "numba", "numpy")
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; "
        f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads{gpu}"
        f"{load}; Python {platform.python_version()}, {versions}"
    )
