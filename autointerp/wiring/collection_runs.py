"""Collections of their own: into a folder, in shards, and shards put together again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from autointerp.activations import (
    CollectPlan,
    LazySummary,
    MemoryNeed,
    Summary,
    collect,
    load_summary,
    merge_summaries,
    open_summary,
    save_summary,
)
from autointerp.activations.memory_need import memory_need, without_large_tables
from autointerp.activations.summary_manifest import SummaryManifest
from autointerp.activations.token_table import explain_types
from autointerp.core.config import CollectJob, CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.files import storage_errors
from autointerp.core.progress import Progress
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus, check_corpus, load_corpus
from autointerp.settings import Settings
from autointerp.store.lock import only_writer
from autointerp.subjects import SubjectModel, load_subject, parse_units, reading_notes
from autointerp.wiring.units_beforehand import check_units_beforehand

SUMMARY_FILE = "summary.safetensors"


@dataclass(frozen=True, slots=True)
class Collected:
    """What is in a folder now."""

    path: Path
    summary: Summary
    n_new_tokens: int
    """Tokens that were read this time."""
    seconds: float
    """That collecting or merging took, loading of the model excluded."""
    need: MemoryNeed | None
    """Memory of the collection; None for a merge."""

    @property
    def n_units(self) -> int:
        """Units of all hook points."""
        return sum(len(indices) for _, indices in self.summary.identity.units)

    @property
    def n_tokens(self) -> int:
        """Tokens of all splits."""
        return sum({split: p.n_tokens for (_, split), p in self.summary.hooks.items()}.values())


def run_collection(  # noqa: PLR0913 - a job, a folder and how to go about it
    job: CollectJob,
    *,
    out: Path,
    resume: bool,
    settings: Settings,
    progress: Progress,
    save_every_s: float = 30.0,
    token_tables: bool | None = None,
) -> Collected:
    """Collects into a folder, which keeps what is done when it is interrupted.

    With token tables, which labels need: where they are small if nobody said.

    Raises:
        InputError: the job cannot be done as asked, or the folder holds another collection.
        StorageError: the disk refuses.
    """
    path = out / SUMMARY_FILE
    check_corpus(job.corpus.corpus)
    check_units_beforehand(job.units, job.subject, settings)
    with _only_writer(out):
        n_before = _n_kept(path, resume=resume)
        progress.note(f"loading {job.subject}")
        subject = load_subject(
            job.subject, dtype=job.dtype, device=settings.device, cache_dir=settings.cache_dir
        )
        kind = neuron_kind_of(out, subject)
        units = parse_units(job.units, subject, seed=job.seed, kind=kind)
        for note in reading_notes(job.units, subject, kind, units, n_ctx=job.corpus.n_ctx):
            progress.note(note)
        corpus = load_job_corpus(job.corpus, subject, progress)
        if token_tables is None and path.exists():
            token_tables = open_summary(path).identity.token_means
        types = None if token_tables is False else explain_types(corpus)
        need = memory_need(subject, corpus, units, job.collect, types=types)
        if token_tables is None:
            with_tables, need = need, without_large_tables(need)
            if need.tables < with_tables.tables:
                progress.note(
                    f"token tables would take {with_tables.tables / 2**30:.1f} GiB and are left "
                    "out; --token-tables keeps them, for labels from this collection"
                )
        progress.note(f"memory: {need}")
        started = time.monotonic()
        plan = CollectPlan(
            token_means=need.tables > 0,
            shard=job.shard,
            checkpoint=path,
            checkpoint_every_s=save_every_s,
        )
        summary = collect(
            subject, corpus, units=units, config=job.collect, plan=plan, progress=progress
        )
        result = Collected(path, summary, 0, time.monotonic() - started, need)
        return replace(result, n_new_tokens=result.n_tokens - n_before)


@contextmanager
def _only_writer(out: Path) -> Iterator[None]:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, not a folder; choose another --out")
    with storage_errors(out, verb="make"):
        out.mkdir(parents=True, exist_ok=True)
    with only_writer(out):
        yield


def _n_kept(path: Path, *, resume: bool) -> int:
    if not path.exists():
        return 0
    stored = open_summary(path)
    n = sum(stored.n_tokens(split) for split in Split)
    if not resume:
        raise InputError(
            f"{path.parent} holds a collection of {n:,} tokens so far; "
            "add --resume to continue it or choose another --out"
        )
    return n


def neuron_kind_of(folder: Path, subject: SubjectModel) -> str:
    """Where neurons that are named without a hook point are read in the run of a folder.

    A run that was begun when this was always ``hook_post`` keeps it.
    """
    if subject.neuron_kind == "hook_post":
        return subject.neuron_kind
    known: set[str] = set()
    if (folder / "labels").is_dir():
        known = {path.name for path in (folder / "labels").iterdir()}
    for summary in (folder / SUMMARY_FILE, folder / "summary" / SUMMARY_FILE):
        if summary.exists():
            known |= set(open_summary(summary).hooks)
    kinds = {hook.rpartition(".")[2] for hook in known if ".mlp." in hook}
    return "hook_post" if "hook_post" in kinds and "hook_mid" not in kinds else subject.neuron_kind


def load_job_corpus(
    config: CorpusConfig, subject: SubjectModel, progress: Progress | None = None
) -> TokenCorpus:
    """The corpus of a job."""
    return load_corpus(
        config.corpus,
        subject,
        n_tokens=config.n_tokens,
        n_ctx=config.n_ctx,
        seed=config.seed,
        explain=config.explain,
        validation=config.validation,
        progress=progress,
    )


def merge_folders(folders: Sequence[Path], *, out: Path, partial: bool = False) -> Collected:
    """Merges the summaries of folders into one folder, reading one after the other.

    A folder holds a shard, or several that were merged; `partial` allows shards to be missing.

    Raises:
        InputError: shards of different collections, one twice, one missing; or `out` holds
            a summary already.
        StorageError: the disk refuses.
    """
    started = time.monotonic()
    files = {folder: open_summary(folder / SUMMARY_FILE) for folder in folders}
    if len(files) < len(folders):
        twice = Counter(folders).most_common(1)[0][0]
        raise InputError(f"{twice} was given twice; merge each shard once")
    _check_alike(files)
    if not partial:
        _check_whole(files)
    path = out / SUMMARY_FILE
    with _only_writer(out):
        if path.exists():
            raise InputError(f"{out} holds a summary already; choose another --out")
        merged: Summary | None = None
        for folder in files:
            part = load_summary(folder / SUMMARY_FILE)
            merged = part if merged is None else merge_summaries((merged, part))
        if merged is None:
            raise InputError("there is nothing to merge: name the folders of the shards")
        save_summary(merged, path)
    result = Collected(path, merged, 0, 0.0, None)
    return replace(result, seconds=time.monotonic() - started)


def _check_alike(files: Mapping[Path, LazySummary]) -> None:
    (first, reference), *others = files.items()
    seen = {batch: first for batch in reference.batches}
    for folder, file in others:
        differences = reference.identity.differences(file.identity)
        if differences:
            raise InputError(f"{first} and {folder} cannot be merged, they differ in {differences}")
        for batch in sorted(file.batches):
            if batch in seen:
                split, number = batch
                raise InputError(
                    f"{seen[batch]} and {folder} both hold batch {number} of the {split} split; "
                    "merge each shard once"
                )
            seen[batch] = folder


def _check_whole(files: Mapping[Path, LazySummary]) -> None:
    here = frozenset[tuple[Split, int]]().union(*(file.batches for file in files.values()))
    for folder, file in files.items():
        order = _canonical_order(file.manifest)
        claimed = {b for i, n in file.manifest.shards for b in order[i - 1 :: n]}
        if not claimed or not claimed <= here:
            msg = f"{folder} is not finished; continue it with `autointerp collect ... --resume`"
            raise InputError(msg)
    if len(here) == len(order):
        return
    n = max(n for file in files.values() for _, n in file.manifest.shards)
    lost = sorted({place % n + 1 for place, batch in enumerate(order) if batch not in here})
    named = ", ".join(f"{i}/{n}" for i in lost)
    raise InputError(
        f"these hold {len(here)} of {len(order)} batches, shard {named} is missing; "
        "name its folder too, or add --partial"
    )


def _canonical_order(manifest: SummaryManifest) -> list[tuple[Split, int]]:
    return [(split, n) for split in Split for n in range(manifest.n_batches.get(split, 0))]
