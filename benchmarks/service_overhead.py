"""What the service adds to a unit: Celery, Redis, records on their way, work items.

Units of a small random model are labelled without an LLM on a summary that exists: by workers
through Celery and Redis, and in one process on the same summary. Everything else is the same.
With --dead no unit activates, so that there is nothing to read or to score: what is left is what
a label costs that needs no work.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from _parts import header
from _service import Service, save_model, spec_of

from autointerp.core.config import JobSpec
from autointerp.core.job_state import JobState
from autointerp.core.progress import SilentProgress
from autointerp.orchestration.plan import summary_name
from autointerp.settings import Settings
from autointerp.store.jobs import COLLECTION

WIDTH, N_LAYERS = 384, 30
D_MLP = 4 * WIDTH


def units_of(n: int) -> str:
    """So many units, layer by layer."""
    parts = []
    for layer in range(-(-n // D_MLP)):
        last = min(D_MLP, n - layer * D_MLP) - 1
        parts.append(f"{layer}:0-{last}")
    return ",".join(parts)


def in_process(spec: JobSpec, model: Path, summary: Path, folder: Path) -> float:
    """Seconds of the same job in this process; its summary is there."""
    from autointerp.pipeline.job_variants import with_stored_names
    from autointerp.wiring.runs import run_job

    (folder / "run" / "summary").mkdir(parents=True)
    shutil.copyfile(summary, folder / "run" / "summary" / "summary.safetensors")
    named = with_stored_names(spec.model_copy(update={"subject": str(model)}))
    (folder / "run" / "job.json").write_text(named.model_dump_json())
    started = time.perf_counter()
    settings = Settings(cache_dir=folder / "cache")
    outcome = run_job(
        named,
        out=folder / "run",
        resume=False,
        settings=settings,
        progress=SilentProgress(),
    )
    assert outcome.totals.n_labels
    print("stages in one process:", {k: round(v, 1) for k, v in outcome.seconds_by_stage.items()})
    return time.perf_counter() - started


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=1024, help="up to 46,080")
    parser.add_argument("--tokens", type=int, default=65_536)
    parser.add_argument("--labels", type=int, default=1, help="label workers")
    parser.add_argument("--dead", action="store_true", help="units that never activate")
    parser.add_argument("--store", choices=("json", "redis"), default="redis")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_layers = -(-asked.units // D_MLP)
        model = save_model(folder / "random", n_layers=n_layers, width=WIDTH)
        spec = spec_of(units_of(asked.units), n_tokens=asked.tokens, threshold=1e9 * asked.dead)
        more = {"store": f"json:{folder / 'labels'}"} if asked.store == "json" else {}
        with Service(folder, model, **more) as service:
            service.start("activations")
            for number in range(asked.labels):
                service.start(f"labels-{number}")
            service.wait_for_workers(1 + asked.labels)
            first, first_s = service.done(spec)
            assert first.state is JobState.SUCCEEDED, first.reason
            again, service_s = service.done(spec.model_copy(update={"seed": 1}))
            assert again.state is JobState.SUCCEEDED, again.reason
            collection = service.backend.jobs.note(again.id, COLLECTION)
            assert collection == service.backend.jobs.note(first.id, COLLECTION)
            summary = service.backends.artifacts.fetch(summary_name(str(collection)))
            for queue in list(service.processes):
                service.processes[queue].kill()
            alone_s = in_process(spec.model_copy(update={"seed": 1}), model, summary, folder)
    print(header(), "\n")
    print("units   tokens  collecting  in service  ms a unit  one process  ms a unit  ratio")
    print(
        f"{asked.units:6,} {asked.tokens:8,}  {first_s - service_s:8.1f} s  {service_s:8.1f} s  "
        f"{1e3 * service_s / asked.units:9.2f}  {alone_s:9.1f} s  "
        f"{1e3 * alone_s / asked.units:9.2f}  {service_s / alone_s:5.2f}"
    )


if __name__ == "__main__":
    main()
