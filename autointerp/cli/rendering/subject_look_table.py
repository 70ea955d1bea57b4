"""A subject model that was looked at, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from autointerp.cli.rendering.console import plain_table
from autointerp.cli.rendering.look_lines import fact_table
from autointerp.core.config import CorpusConfig
from autointerp.core.sizes import size_text, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autointerp.orchestration.job_estimate import JobEstimate
    from autointerp.wiring.subject_look import SubjectLook

_COLLECTING = ("start", "forward", "collecting")
_NO_COLLECTION = ("activations", "records", "labels", "tables")


def print_subject(look: SubjectLook, text: CorpusConfig, console: Console) -> None:
    """Prints its facts, its hook points, and what collecting all of its neurons needs."""
    console.print(fact_table(_facts(look)))
    console.print()
    if look.hooks:
        table = plain_table("hook point (N is the layer)")
        table.add_column("width", justify="right")
        table.add_column("layers", justify="right")
        for hook in look.hooks:
            table.add_row(f"blocks.N.{hook.kind}", f"{hook.width:,}", hook.layers)
        console.print(table)
    else:
        console.print("hook points are not known without its weights; --load reads them")
    console.print()
    if look.need is not None:
        seconds, memory, disk = _collection(look.need)
        console.print(
            Text(
                f"collecting all units over {text.n_tokens:,} tokens needs about "
                f"{time_text(seconds)}, {size_text(memory)} of memory and {size_text(disk)} of "
                "disk (--tokens says of how many; `autointerp plan` says what labelling them needs)"
            )
        )


def subject_json(look: SubjectLook, text: CorpusConfig) -> dict[str, object]:
    """The same for ``--json``; sizes are bytes."""
    shape, stored = look.shape, look.stored
    need = None
    if look.need is not None:
        seconds, memory, disk = _collection(look.need)
        need = {
            "n_tokens": text.n_tokens,
            "seconds": round(seconds, 1),
            "memory": memory,
            "disk": disk,
        }
    return {
        "kind": "subject",
        "name": look.name,
        "n_layers": None if shape is None else shape.n_layers,
        "d_model": None if shape is None else shape.d_model,
        "d_mlp": None if shape is None else shape.d_mlp,
        "n_neurons": None if shape is None else shape.n_neurons,
        "n_ctx": None if shape is None else shape.n_ctx,
        "vocab": None if shape is None else shape.vocab,
        "gated": None if shape is None else shape.gated,
        "n_parameters": look.n_weights,
        "stored_dtypes": {} if stored is None else dict(stored.by_dtype),
        "file_bytes": None if stored is None else stored.n_bytes,
        "memory": dict(look.memory),
        "hooks": [
            {"hook": f"blocks.N.{hook.kind}", "width": hook.width, "layers": hook.layers}
            for hook in look.hooks
        ],
        "collecting_all": need,
        "weights_read": look.loaded,
        "unknown": look.unknown,
    }


def _facts(look: SubjectLook) -> Mapping[str, str | None]:
    shape, stored, n = look.shape, look.stored, look.n_weights
    dtypes = "GGUF" if stored is None else ", ".join(stored.by_dtype) or "GGUF"
    memory = ", ".join(f"{size_text(size)} in {dtype}" for dtype, size in look.memory.items())
    return {
        "subject": f"{look.name} ({'its' if look.loaded else 'no'} weights were read)",
        "layers": None if shape is None else f"{shape.n_layers:,}, {shape.d_model:,} wide",
        "neurons": None
        if shape is None
        else f"{shape.n_neurons:,} ({shape.d_mlp:,} a layer{', gated' if shape.gated else ''})",
        "context": None if shape is None else f"{shape.n_ctx:,} tokens",
        "vocabulary": None if shape is None else f"{shape.vocab:,} tokens",
        "parameters": None if n is None else f"{n:,}",
        "stored": None if stored is None else f"{size_text(stored.n_bytes)} of {dtypes}",
        "memory": memory or None,
    }


def _collection(need: JobEstimate) -> tuple[float, int, int]:
    """Seconds, memory and disk of what a collection does of a job."""
    seconds = sum(stage.seconds for stage in need.stages if stage.name in _COLLECTING)
    reader = {name: n for name, n in need.reader_memory.items() if name != "records of a chunk"}
    disk = sum(n for name, n in need.folder.items() if not name.startswith(_NO_COLLECTION))
    return seconds, sum(reader.values()), disk
