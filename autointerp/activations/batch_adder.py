"""Adding one batch of windows to the states of every hook point, on whatever device it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from autointerp.activations.kernels.hook_state import HookState, WindowBatch
from autointerp.activations.kernels.updaters import (
    LARGEST,
    CpuUpdater,
    DeviceUpdater,
    ImpossibleActivationError,
    Updater,
)
from autointerp.activations.token_table import TokenTable
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import HookUnits, SubjectModel

_Receive = Callable[[str, Tensor, WindowBatch, Tensor], None]
"""Called with hook point, activations, their windows and the windows' tokens."""

# Batches between two looks at whether a device has met an impossible activation.
_LOOK_EVERY = 64


class BatchAdder:
    """Reads batches and adds them to states; where memory runs out, half a batch at a time."""

    def __init__(  # noqa: PLR0913 - the parts of a collection
        self,
        subject: SubjectModel,
        corpus: TokenCorpus,
        units: Sequence[HookUnits],
        config: CollectConfig,
        *,
        states: dict[tuple[str, Split], HookState],
        tables: Mapping[str, TokenTable],
        shared: Mapping[Split, NDArray[np.int64]],
        progress: Progress,
    ) -> None:
        self._subject, self._corpus, self._config = subject, corpus, config
        self._states, self._tables, self._progress = states, tables, progress
        self._columns = {
            split: {int(window): column for column, window in enumerate(windows)}
            for split, windows in shared.items()
        }
        self._hooks = [unit.hook for unit in units]
        self._indices = {
            u.hook: torch.tensor(u.indices, dtype=torch.long, device=subject.device) for u in units
        }
        self._updaters: dict[str, Updater] = {
            hook: CpuUpdater(indices) if subject.device.type == "cpu" else DeviceUpdater(indices)
            for hook, indices in self._indices.items()
        }
        self._at_once = config.batch_windows
        self._unsettled: list[tuple[Split, range]] = []

    def add(self, split: Split, ids: range) -> None:
        """Adds a canonical batch.

        Raises:
            InputError: an activation is NaN, infinite or beyond 2**20 (hook point, unit and
                window are named); or a single window does not fit the device.
        """
        self._add_parts(split, ids, frozenset())
        self._unsettled.append((split, ids))
        if len(self._unsettled) >= _LOOK_EVERY:
            self.settle()

    def settle(self) -> None:
        """Brings the states up to date; raises as `add`."""
        try:
            for updater in self._updaters.values():
                updater.settle()
        except ImpossibleActivationError:
            for split, ids in self._unsettled:
                self._read(split, ids, self._hooks, self._refuse_impossible)
            raise
        self._unsettled.clear()

    def _add_parts(self, split: Split, ids: range, added: frozenset[str]) -> None:
        while ids:
            # How many fit may become fewer from one part to the next.
            part, ids = ids[: self._at_once], ids[self._at_once :]
            self._add_part(split, part, added)

    def _add_part(self, split: Split, ids: range, added: frozenset[str]) -> None:
        done = set(added)

        def add(hook: str, acts: Tensor, batch: WindowBatch, tokens: Tensor) -> None:
            state = self._states[hook, split]
            try:
                state = self._updaters[hook].add(
                    state, acts, batch, threshold=self._config.threshold
                )
            except ImpossibleActivationError:
                self._refuse_impossible(hook, acts, batch, tokens)
                raise
            # The table before the state is replaced: either may be what memory runs out in.
            if split is Split.EXPLAIN and hook in self._tables:
                real = batch.valid(acts.shape[1]).flatten()
                self._tables[hook].add(tokens.flatten(), acts.flatten(0, 1), real=real)
            self._states[hook, split] = state
            done.add(hook)

        try:
            self._read(split, ids, [hook for hook in self._hooks if hook not in added], add)
        except torch.OutOfMemoryError as error:
            self._refuse_single(ids, error)
        else:
            return
        # Behind the error, whose traceback holds what the pass that failed had in memory.
        self._halve(ids)
        self._add_parts(split, ids, frozenset(done))

    def _refuse_single(self, ids: range, error: torch.OutOfMemoryError) -> None:
        if len(ids) == 1:
            raise InputError(
                f"out of memory on {self._subject.device} with a single window of "
                f"{self._corpus.n_ctx} tokens; use shorter windows, fewer units or bfloat16"
            ) from error

    def _halve(self, ids: range) -> None:
        if self._subject.device.type == "cuda":
            torch.cuda.empty_cache()
        self._at_once = min(self._at_once, -(-len(ids) // 2))
        self._progress.note(
            f"out of memory with {len(ids)} windows at once: continuing with {self._at_once}"
        )

    def _refuse_impossible(
        self, hook: str, acts: Tensor, batch: WindowBatch, tokens: Tensor
    ) -> None:
        """Nothing, when every real token's activation is a number within `LARGEST`."""
        # One pass without a mask in memory; NaN comes through, and compares false.
        low, high = torch.aminmax(acts)
        if bool(torch.maximum(-low, high) <= LARGEST):
            return
        bad = ~(acts.abs() <= LARGEST) & batch.valid(tokens.shape[1])[..., None]
        if not bool(bad.any()):
            return
        row, position, column = (int(i) for i in bad.nonzero()[0])
        raise InputError(
            f"activation of {hook} unit {int(self._indices[hook][column])} is "
            f"{float(acts[row, position, column])} in window {int(batch.windows[row])} at "
            f"position {position}; load the subject model in float32 or find the broken weights"
        )

    def _read(self, split: Split, ids: range, hooks: Sequence[str], receive: _Receive) -> None:
        tokens_array, lengths = self._corpus.batch(ids)
        # Positions that are padding in every window are not computed.
        tokens_array = tokens_array[:, : int(lengths.max())]
        columns = [self._columns[split].get(window, -1) for window in ids]
        # The subject looks at token ids before it reads them: on a device it would wait for it.
        text = self._on_host(tokens_array)
        tokens, n_real = self._moved(text), self._moved(self._on_host(lengths))
        shared = self._moved(self._on_host(np.array(columns)))
        windows = self._moved(self._on_host(np.array(ids)))

        def listen(hook: str, activations: Float[Tensor, "batch pos unit"]) -> None:
            salt = f"{self._config.seed}/{hook}/{split}"
            indices, acts = self._indices[hook], activations
            if len(indices) < acts.shape[-1]:
                acts = acts.index_select(-1, indices)
            receive(hook, acts, WindowBatch(windows, n_real, shared, salt), tokens)

        self._subject.read(text, hooks, listen)

    def _on_host(self, array: NDArray[np.integer]) -> Tensor:
        tensor = torch.from_numpy(array.astype(np.int64))
        # From pinned memory a copy runs beside what the device is doing.
        return tensor.pin_memory() if self._subject.device.type == "cuda" else tensor

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._subject.device, non_blocking=tensor.is_pinned())
