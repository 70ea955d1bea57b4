"""Forward passes of one text in many rows, each with other units held: losses and logits.

What comes before the first held layer is the same in every row and is computed once, where the
model allows it: that is tried on a short text, and compared with whole passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.evidence.frozen_norms import FrozenNorms
from autointerp.evidence.held_units import HeldRow, HeldUnits, RowHolds
from autointerp.evidence.write_sites import Turn, WriteSite
from autointerp.subjects import SubjectModel
from autointerp.subjects.causality import short_text
from autointerp.subjects.model_facts import NOT_RUN

_LOGITS_AT_ONCE = 2**26
"""Of one pass: a quarter of a gigabyte in float32."""
_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.03, torch.float16: 0.03}
"""Parts of the greatest logit by which the two ways may differ."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PassRows:
    """The rows of a pass: the model as it is, the units held, controls, and the change turned."""

    held: HeldRow
    controls: tuple[HeldRow, ...] = ()
    """Of each a row of its own."""
    turns: tuple[int, ...] = ()
    """Numbers of random directions to which what the held units write is turned."""

    @property
    def n_rows(self) -> int:
        """With the row of the model as it is."""
        return 2 + len(self.controls) + len(self.turns)


@dataclass(frozen=True, slots=True, eq=False)
class PassValues:
    """What came out, a row each: as it is, held, controls, turned."""

    values: Floats
    """Shape (row, ...)."""
    changed: tuple[bool, ...]
    """Whether anything was at another value than it is held at, of as it is, held, controls."""

    def parts(self, rows: PassRows) -> tuple[Floats, Floats, Floats, Floats]:
        """The values as they are, held, of the controls and of those turned."""
        n = 2 + len(rows.controls)
        return self.values[0], self.values[1], self.values[2:n], self.values[n:]


class HeldPasses:
    """Runs texts through one subject model with units held."""

    def __init__(
        self, subject: SubjectModel, *, seed: int = 0, check: Callable[[], None] = lambda: None
    ) -> None:
        """`check` is called before each text, while nothing of the model is changed.

        It may run the model for something else, and ends all passes by raising.
        """
        self.subject, self.seed, self.check = subject, seed, check
        self.n_tokens, self.seconds = 0, 0.0
        self.rows_share = True
        """Whether what comes before the first held layer may be computed once for all rows."""
        self._shared: dict[int, bool] = {}

    def bos(self, hooks: Sequence[str]) -> int | None:
        """Id put in front of texts.

        Raises:
            InputError: units of these hook points are not read alike.
        """
        every = {self.subject.bos_at(hook) for hook in hooks}
        if len(every) > 1:
            raise InputError(
                "some of these units are read behind the beginning-of-text token and some "
                "without it; hold them one at a time"
            )
        return next(iter(every))

    def losses(self, ids: Sequence[int], rows: PassRows) -> PassValues:
        """Loss of each token that is predicted, nats, shape (row, token).

        Raises:
            InputError: the model does not give logits for every token.
        """
        self.check()

        def read(logits: Tensor, whole: Tensor) -> Tensor:
            if logits.shape[1] != whole.shape[1]:
                raise _without_logits(self.subject)
            n_rows = len(logits)
            targets = whole[:, 1:].expand(n_rows, -1).flatten()
            flat = logits[:, :-1].flatten(0, 1).to(torch.float32)
            lost = torch.nn.functional.cross_entropy(flat, targets, reduction="none")
            return lost.reshape(n_rows, -1)

        return self._run(ids, rows, read)

    def next_logits(self, ids: Sequence[int], rows: PassRows) -> PassValues:
        """Logits of the token behind the text, shape (row, vocab)."""
        self.check()
        # Logits of every token of a long prompt would be gigabytes.
        with _last_token_alone(self.subject):
            return self._run(ids, rows, lambda logits, _: logits[:, -1])

    def written(
        self, ids: Sequence[int], held: HeldUnits, norms: FrozenNorms | None = None
    ) -> Float[Tensor, "pos d"]:
        """What the model writes at the units' site beyond what it writes with them held.

        The norms note what they are in this pass. BOS is left out.
        """
        self.check()
        site = WriteSite.of(self.subject, held.hook)
        bos = self.bos([held.hook])
        whole = self._whole(ids, bos)
        shape = (2, whole.shape[1])
        holds = RowHolds(
            self.subject, [(), (held,)], n_rows=2, n_pos=shape[1], skip=int(bos is not None)
        )
        seen: list[Tensor] = []

        def note(written: Tensor) -> Tensor:
            parts = written.reshape(-1, *shape, written.shape[-1]).to(torch.float32)
            seen.append((parts[:, 0] - parts[:, 1]).sum(dim=0))
            return written

        self.n_tokens += whole.shape[1] * 2
        with torch.inference_mode(), ExitStack() as stack:
            stack.enter_context(holds.during())
            stack.enter_context(site.changing(note))
            if norms is not None:
                stack.enter_context(norms.watching())
            self._logits(whole, 2, None)
        return seen[-1][int(bos is not None) :]

    def _whole(self, ids: Sequence[int], bos: int | None) -> Int[Tensor, "one pos"]:
        return torch.tensor([[*([] if bos is None else [bos]), *ids]], device=self.subject.device)

    def _run(
        self, ids: Sequence[int], rows: PassRows, read: Callable[[Tensor, Tensor], Tensor]
    ) -> PassValues:
        started = time.perf_counter()
        bos = self.bos([held.hook for held in rows.held])
        whole = self._whole(ids, bos)
        first: list[HeldRow] = [(), rows.held]
        plain = [*first, *rows.controls]
        most = max(3, _LOGITS_AT_ONCE // (whole.shape[1] * self.subject.n_rows))
        parts: list[Floats] = []
        changed: list[bool] = []
        together = rows.turns if rows.n_rows <= most else ()
        for start in range(0, len(plain), most):
            chunk = plain[start : start + most]
            found, moved = self._pass(whole, chunk, together, bos, read)
            parts.append(found)
            changed += moved
        left = rows.turns[len(together) :]
        for start in range(0, len(left), most - 2):
            found, _ = self._pass(whole, first, left[start : start + most - 2], bos, read)
            parts.append(found[2:])
        self.seconds += time.perf_counter() - started
        return PassValues(np.concatenate(parts), tuple(changed))

    def _pass(
        self,
        whole: Int[Tensor, "one pos"],
        rows: Sequence[HeldRow],
        turns: Sequence[int],
        bos: int | None,
        read: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Floats, list[bool]]:
        """One pass of these rows, and behind them one a turn."""
        n_rows, n_pos = len(rows) + len(turns), whole.shape[1]
        holds = RowHolds(self.subject, rows, n_rows=n_rows, n_pos=n_pos, skip=int(bos is not None))
        turn = None
        if turns:
            site = WriteSite.of(self.subject, rows[1][0].hook)
            places = [(len(rows) + place, n) for place, n in enumerate(turns)]
            turn = Turn(site, places, (n_rows, n_pos), self.seed)
        layer = min(HookPoint(held.hook).layer for row in rows for held in row)
        shared = layer if self._shares(layer) else None
        self.n_tokens += n_rows * n_pos
        with torch.inference_mode(), holds.during(turn):
            logits = self._logits(whole, n_rows, shared)
            return read(logits, whole).cpu().to(torch.float64).numpy(), holds.changed

    def _logits(
        self, whole: Int[Tensor, "one pos"], n_rows: int, layer: int | None
    ) -> Float[Tensor, "row pos vocab"]:
        """With a layer the rows are one before it."""
        ids = whole.expand(n_rows, -1) if layer is None else whole
        rows = nullcontext() if layer is None else _widened(self.subject, layer, n_rows)
        with rows:
            out = self.subject.bridge.original_model(ids, use_cache=False)
        result: Tensor = getattr(out, "logits", out)
        if len(result) != n_rows or result.shape[1] not in {whole.shape[1], 1}:
            raise _without_logits(self.subject)
        return result

    def _shares(self, layer: int) -> bool:
        """Whether what comes before a layer may be computed once for all rows."""
        if layer not in self._shared:
            self._shared[layer] = layer > 0 and self._tried(layer)
        return self.rows_share and self._shared[layer]

    def _tried(self, layer: int) -> bool:
        ids = short_text(self.subject.tokenizer, self.subject.n_rows)
        whole = torch.tensor([ids], device=self.subject.device)
        try:
            with torch.inference_mode():
                once, each = (self._logits(whole, 3, at) for at in (layer, None))
        except (*NOT_RUN, InputError):
            return False
        apart = (once - each).abs().nan_to_num().max()
        return bool(apart <= _ROUNDING[once.dtype] * each.abs().nan_to_num().max())


def _without_logits(subject: SubjectModel) -> InputError:
    return InputError(
        f"{subject.name} gives no logits for every token, so that nothing can be told of its loss"
    )


@contextmanager
def _last_token_alone(subject: SubjectModel) -> Iterator[None]:
    """While it lasts, logits are of the last token, where the model has a layer that makes them."""
    head = getattr(subject.bridge, "unembed", None)
    module = getattr(head, "original_component", head)

    def cut(_module: Any, args: Any) -> Any:
        return (args[0][:, -1:], *args[1:]) if args else None

    with ExitStack() as stack:
        if isinstance(module, torch.nn.Module):
            stack.callback(module.register_forward_pre_hook(cut).remove)
        yield


@contextmanager
def _widened(subject: SubjectModel, layer: int, n_rows: int) -> Iterator[None]:
    """While it lasts, the one row that enters a layer becomes so many."""
    block = subject.bridge.blocks[layer]
    module = block if isinstance(block, torch.nn.Module) else block.original_component

    def widen(_module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if args:
            return (args[0].expand(n_rows, -1, -1).contiguous(), *args[1:]), kwargs
        name = next(name for name, value in kwargs.items() if isinstance(value, Tensor))
        return args, kwargs | {name: kwargs[name].expand(n_rows, -1, -1).contiguous()}

    with ExitStack() as stack:
        stack.callback(module.register_forward_pre_hook(widen, with_kwargs=True).remove)
        yield
