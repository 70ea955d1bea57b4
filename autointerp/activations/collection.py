"""Collection: one streaming pass over a corpus, keeping a summary of every chosen unit."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.batch_adder import BatchAdder
from autointerp.activations.kernels.hook_state import HookState, empty_state
from autointerp.activations.memory_need import available_memory, memory_need, refuse_what_cannot_fit
from autointerp.activations.summary import HookSummary, Summary
from autointerp.activations.summary_manifest import SummaryIdentity
from autointerp.activations.summary_storage import load_summary, save_summary
from autointerp.activations.token_table import TokenTable, empty_table, explain_types
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel

# A checkpoint waits ten times as long as the last one took, at most twenty times its interval.
_PAUSE, _MOST_PAUSE = 10, 20


@dataclass(frozen=True, slots=True)
class CollectPlan:
    """Options of a collection beside what is collected."""

    token_means: bool = False
    """Keep the token lookup table of every unit, over explain tokens."""
    shard: tuple[int, int] = (1, 1)
    """(i, n): only every n-th batch, beginning with the i-th, 1-based."""
    checkpoint: Path | None = None
    """File that holds what is done so far; read at the start if it is there, then written
    from time to time and at the end."""
    before: Summary | None = None
    """What was collected elsewhere and is not done again, in place of the checkpoint's content."""
    checkpoint_every_s: float = 30.0
    """Seconds between two writes of the checkpoint; more where one takes long."""


def canonical_batches(corpus: TokenCorpus, size: int) -> list[tuple[Split, int, range]]:
    """(split, number within the split, window ids) of every batch, in order.

    A batch holds the same windows of one split however the corpus is sharded, so that a
    window's activations never depend, even in their last bits, on how collection was run.
    """
    batches = []
    for split in Split:
        ids = corpus.window_ids(split)
        for number, first in enumerate(range(ids.start, ids.stop, size)):
            batches.append((split, number, range(first, min(first + size, ids.stop))))
    return batches


def collect(
    subject: SubjectModel,
    corpus: TokenCorpus,
    *,
    units: Sequence[HookUnits],
    config: CollectConfig | None = None,
    plan: CollectPlan | None = None,
    progress: Progress | None = None,
) -> Summary:
    """The summary of the chosen units over the whole corpus, or over one shard of it.

    One forward pass a batch, ended behind the last hook point that is read. Memory depends on
    the number of units, not on the number of tokens.

    Raises:
        InputError: windows longer than the model's context; units or a shard that do not
            exist; more memory needed than there is; an activation that is NaN, infinite or
            beyond 2**20 (hook point, unit and window are named); a checkpoint of another run.
        StorageError: the checkpoint cannot be written.
    """
    run = _Collection(subject, corpus, units, config or CollectConfig(), plan or CollectPlan())
    return run.over_all_batches(progress or SilentProgress())


class _Collection:
    def __init__(
        self,
        subject: SubjectModel,
        corpus: TokenCorpus,
        units: Sequence[HookUnits],
        config: CollectConfig,
        plan: CollectPlan,
    ) -> None:
        if not units:
            raise InputError("no units were asked for; name at least one")
        first, step = plan.shard
        if not 1 <= first <= step:
            msg = f"shard {first}/{step} does not exist; write 1/{max(1, step)} for the first"
            raise InputError(msg)
        if corpus.n_ctx > subject.max_n_ctx:
            raise InputError(
                f"windows of {corpus.n_ctx} tokens do not fit {subject.name}, "
                f"which takes {subject.max_n_ctx}; lower n_ctx"
            )
        self._subject, self._corpus, self._units = subject, corpus, tuple(units)
        self._config, self._plan = config, plan
        self.identity = identity_of_collection(
            subject, corpus, self._units, config, token_means=plan.token_means
        )
        self._shared = _shared_windows(corpus, config)
        self._states: dict[tuple[str, Split], HookState] = {}
        self._counts: dict[Split, tuple[int, int]] = dict.fromkeys(Split, (0, 0))
        self._tables: dict[str, TokenTable] = {}
        self._done: set[tuple[Split, int]] = set()

    def over_all_batches(self, progress: Progress) -> Summary:
        batches = canonical_batches(self._corpus, self._config.batch_windows)
        first, step = self._plan.shard
        mine = batches[first - 1 :: step]
        self._start(frozenset((split, number) for split, number, _ in mine))
        progress.start("collect", sum(self._n_tokens(ids) for _, _, ids in mine), "tokens")
        progress.advance("collect", sum(n for n, _ in self._counts.values()))
        todo = [batch for batch in mine if batch[:2] not in self._done]
        next_save = time.monotonic() + self._plan.checkpoint_every_s
        adder = BatchAdder(
            self._subject,
            self._corpus,
            self._units,
            self._config,
            states=self._states,
            tables=self._tables,
            shared=self._shared,
            progress=progress,
        )
        for split, number, ids in todo:
            adder.add(split, ids)
            n_tokens, n_windows = self._counts[split]
            self._counts[split] = (n_tokens + self._n_tokens(ids), n_windows + len(ids))
            self._done.add((split, number))
            progress.advance("collect", self._n_tokens(ids))
            if self._plan.checkpoint is not None and time.monotonic() >= next_save:
                started = time.monotonic()
                adder.settle()
                self._save()
                next_save = time.monotonic() + self._pause(time.monotonic() - started)
        adder.settle()
        # A resumed run that finds everything collected leaves the file as it is.
        if todo or self._plan.before is not None:
            self._save()
        return self._summary().on_cpu()

    def _pause(self, took_s: float) -> float:
        """Seconds to the next checkpoint: what many units have takes long to write."""
        every_s = self._plan.checkpoint_every_s
        return max(every_s, min(_PAUSE * took_s, _MOST_PAUSE * every_s))

    def _n_tokens(self, ids: range) -> int:
        return int(self._corpus.batch(ids)[1].sum())

    def _start(self, mine: frozenset[tuple[Split, int]]) -> None:
        device = self._subject.device
        types = explain_types(self._corpus) if self._plan.token_means else None
        need = memory_need(
            self._subject,
            self._corpus,
            self._units,
            self._config,
            types=types,
        )
        refuse_what_cannot_fit(need, available_memory(device))
        for unit in self._units:
            for split in Split:
                self._states[unit.hook, split] = empty_state(
                    len(unit.indices), self._config, device, n_shared=len(self._shared[split])
                )
        if types is not None:
            for unit in self._units:
                self._tables[unit.hook] = empty_table(types, len(unit.indices), device)
        if self._plan.before is not None:
            self._continue(self._plan.before, mine)
        elif self._plan.checkpoint is not None and self._plan.checkpoint.is_file():
            self._continue(load_summary(self._plan.checkpoint), mine)

    def _continue(self, before: Summary, mine: frozenset[tuple[Split, int]]) -> None:
        differences = before.identity.differences(self.identity)
        if not differences and before.batches - mine:
            differences = "it holds batches of another shard"
        if differences:
            what = "this" if self._plan.before is not None else self._plan.checkpoint
            raise InputError(
                f"{what} was collected with other settings ({differences}); "
                "remove it or choose another folder"
            )
        device = self._subject.device
        for key, hook in before.hooks.items():
            self._states[key] = hook.state.to(device)
            self._counts[key[1]] = (hook.n_tokens, hook.n_windows)
        self._tables = {name: table.to(device) for name, table in before.tables.items()}
        self._done = set(before.batches)

    def _summary(self) -> Summary:
        hooks = {
            (hook, split): HookSummary(
                state,
                n_tokens=self._counts[split][0],
                n_windows=self._counts[split][1],
                shared_windows=self._shared[split],
            )
            for (hook, split), state in self._states.items()
        }
        batches = canonical_batches(self._corpus, self._config.batch_windows)
        n_batches = Counter(split for split, _, _ in batches)
        return Summary(
            self.identity,
            hooks,
            self._tables,
            frozenset(self._done),
            n_batches={split: n_batches[split] for split in Split},
            shards=frozenset({self._plan.shard}),
        )

    def _save(self) -> None:
        if self._plan.checkpoint is not None:
            save_summary(self._summary(), self._plan.checkpoint)


def identity_of_collection(
    subject: SubjectModel,
    corpus: TokenCorpus,
    units: Sequence[HookUnits],
    config: CollectConfig,
    *,
    token_means: bool,
) -> SummaryIdentity:
    """What a summary of these units is of.

    Raises:
        InputError: units that do not exist or are not in order.
    """
    _check_units(subject, units)
    return SummaryIdentity(
        subject=subject.name,
        revision=subject.revision,
        dtype=subject.dtype_name,
        tokenizer=subject.tokenizer.name,
        corpus=corpus.id,
        corpus_hash=corpus.hash,
        split_hash=corpus.split_hash,
        n_ctx=corpus.n_ctx,
        seed=config.seed,
        units=tuple((unit.hook, unit.indices) for unit in units),
        config=config,
        token_means=token_means,
        encoders=tuple(
            (unit.hook, subject.encoders[unit.hook].digest)
            for unit in units
            if unit.hook in subject.encoders
        ),
    )


def _check_units(subject: SubjectModel, units: Sequence[HookUnits]) -> None:
    for unit in units:
        subject.check_indices(unit.hook, unit.indices)
        if list(unit.indices) != sorted(set(unit.indices)):
            raise InputError(f"the units of {unit.hook} must ascend, each once; use parse_units")
    if len({unit.hook for unit in units}) < len(units):
        raise InputError("a hook point was given twice; give its units together")


def _shared_windows(
    corpus: TokenCorpus, config: CollectConfig
) -> Mapping[Split, NDArray[np.int64]]:
    chosen = {}
    for split in Split:
        ids = corpus.window_ids(split)
        generator = np.random.default_rng(derive_seed(config.seed, "shared windows", split))
        n = min(config.shared_windows, len(ids))
        # In random order, so that the first few are a sample of their own.
        drawn = generator.choice(len(ids), size=n, replace=False) + ids.start
        chosen[split] = drawn.astype(np.int64)
    return chosen
