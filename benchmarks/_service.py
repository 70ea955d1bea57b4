"""The service for benchmarks: a Valkey of its own, workers, and a small random model."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from autointerp.core.config import Budget, CollectConfig, CorpusConfig, JobSpec
from autointerp.core.job_state import Job
from autointerp.orchestration.plan import ACTIVATIONS, LABELS
from autointerp.serving.supervisor import (
    ServiceProgram,
    api_program,
    settings_for,
    start,
    workers_package,
)
from autointerp.serving.valkey import Valkey
from autointerp.settings import Settings
from autointerp.wiring.backends import build_job_service, open_backends
from workers.celery_app import build_app, request_sender, sender

MODEL = "random"
N_CTX = 64


def save_model(folder: Path, *, n_layers: int, width: int) -> Path:
    """A GPT-2 with random weights and one token a byte, as a folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: place for place, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(alphabet),
        n_embd=width,
        n_layer=n_layers,
        n_head=max(1, width // 64),
        n_positions=256,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        # Larger weights than at first, so that units differ.
        for parameter in model.parameters():
            parameter.mul_(4)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder


def spec_of(
    units: str, *, n_tokens: int, llm: str = "none", seed: int = 0, threshold: float = 0.0
) -> JobSpec:
    """A job on that model."""
    return JobSpec(
        subject=MODEL,
        units=units,
        corpus=CorpusConfig(n_tokens=n_tokens, n_ctx=N_CTX),
        collect=CollectConfig(threshold=threshold),
        llm=llm,
        seed=seed,
    )


class Service:
    """Runs while its ``with`` block does."""

    def __init__(self, folder: Path, model: Path, **settings: object) -> None:
        self.folder = folder
        self.server = Valkey(folder / "valkey")
        self._given: Mapping[str, object] = {
            "models": f"{MODEL}={model}",
            "cache_dir": folder / "cache",
            "data_dir": folder,
            **settings,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.server.start()
        given = {**self._given, "models": (str(self._given["models"]),)}
        self.settings = Settings.model_validate({**given, "redis_url": self.server.url})
        self.backends = open_backends(self.settings)
        self.backend = self.backends.backend
        app = build_app(self.server.url)
        send_request = request_sender(app, self.backend.mailbox)
        self.job_service = build_job_service(
            self.settings, self.backends, send=sender(app), send_request=send_request
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.server.stop()

    def start(self, name: str, *more: str) -> None:
        """Starts a worker; its name begins with its queue's."""
        queue = ACTIVATIONS if name.startswith(ACTIVATIONS) else LABELS
        self._start(ServiceProgram(name, ("-W", "ignore", "-m", workers_package(), queue, *more)))

    def start_api(self, port: int) -> None:
        """Starts the API on a port of this machine, under the name ``api``."""
        self._start(api_program(host="127.0.0.1", port=port))

    def _start(self, program: ServiceProgram) -> None:
        given = {**self._given, "redis_url": self.server.url}
        environment = settings_for({**os.environ, "OMP_NUM_THREADS": "1"}, **given)
        self.processes[program.name] = start(program, environment=environment, logs=self.folder)

    def wait_for_workers(self, n: int) -> None:
        """Returns when so many say that they live."""
        while len(self.backend.workers.alive()) < n:
            time.sleep(0.1)

    def job(self, job_id: str) -> Job:
        """The job as it is now."""
        found = self.backend.jobs.get(job_id)
        assert found is not None
        return found

    def done(self, spec: JobSpec) -> tuple[Job, float]:
        """A job from beginning to end, and how long it took."""
        started = time.perf_counter()
        job_id = self.job_service.submit(spec, Budget(), owner="bench").id
        while not self.job(job_id).state.is_final:
            time.sleep(0.05)
        return self.job(job_id), time.perf_counter() - started
