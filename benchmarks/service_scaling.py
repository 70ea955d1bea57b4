"""What a second worker of labels gains against an LLM that answers after 50 ms.

The same units are labelled by one worker and by two, on a summary that exists, from the first
label to the last. The endpoint runs in a process of its own, on the same cores as everything
else; so few calls of a worker are in flight that two workers do not want more than the machine has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from _parts import header
from _service import Service, save_model, spec_of
from _slow_server import SlowServer, serve, started
from job_overhead import answer

from autointerp.core.config import ExplainConfig, JobSpec, ScoreConfig
from autointerp.core.job_state import JobState

LATENCY_S, WIDTH, N_TOKENS = 0.05, 128, 32_768


class _Endpoint(SlowServer):
    delay_s = LATENCY_S

    def answer(self, body: bytes) -> bytes:
        """The answer's body."""
        return answer(json.loads(body))


def spec_with(n_units: int, seed: int) -> JobSpec:
    """A job of that many units of one layer."""
    spec = spec_of(f"0:0-{n_units - 1}", n_tokens=N_TOKENS, llm="default", seed=seed)
    explain = ExplainConfig(explainers=("token_activation",), n_samples=1)
    score = ScoreConfig(scorers=("simulation",), n_heldout=12, n_validation=6, n_receipts=0)
    return spec.model_copy(update={"explain": explain, "score": score})


def labels_per_second(service: Service, spec: JobSpec) -> float:
    """Between a job's first label and its last."""
    job, _ = service.done(spec)
    assert job.state is JobState.SUCCEEDED, job.reason
    found = service.backend.jobs.events(job.id, limit=100_000)
    moments = [int(event.id.partition("-")[0]) / 1000 for event in found if event.kind == "label"]
    return (len(moments) - 1) / (moments[-1] - moments[0])


def main() -> None:
    """Measures in turns, and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=384)
    parser.add_argument("--in-flight", type=int, default=4, help="calls of one worker")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(serve(_Endpoint))
        return
    rates: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name, started(__file__, "--serve") as url:
        model = save_model(Path(name) / "random", n_layers=1, width=WIDTH)
        for n_workers in [1, 2] * asked.rounds:
            # The limit is one of all workers together.
            settings = {
                "llm_base_url": url,
                "llm_model": "m",
                "llm_max_in_flight": asked.in_flight * n_workers,
            }
            folder = Path(name) / f"{n_workers}-{len(rates[n_workers])}"
            with Service(folder, model, **settings) as service:
                service.start("activations")
                for number in range(n_workers):
                    service.start(f"labels-{number}")
                service.wait_for_workers(1 + n_workers)
                spec = spec_with(asked.units, seed=0)
                rates[n_workers].append(labels_per_second(service, spec))
    print(header(), "\n")
    print("label workers  labels a second, each round")
    for n_workers, found in rates.items():
        print(f"{n_workers:13}  {'  '.join(f'{rate:.2f}' for rate in found)}")
    gained = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    print(f"a second worker: x {'  x '.join(f'{gain:.2f}' for gain in gained)}")


if __name__ == "__main__":
    main()
