"""A device that runs out of memory in the middle of a batch: half of it, and the same result."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from autointerp.activations import Summary, collect
from autointerp.core.errors import InputError
from autointerp.subjects import SubjectModel


class Small(SubjectModel):
    """A model on a device that holds so many windows at once, and fails behind its first hook."""

    def __init__(self, subject: SubjectModel, *, holds: int) -> None:
        super().__init__(
            subject.bridge, subject.tokenizer, name=subject.name, revision=subject.revision
        )
        self.holds = holds
        self.sizes: list[int] = []

    def read(
        self, tokens: Tensor, hooks: Sequence[str], receive: Callable[[str, Tensor], None]
    ) -> None:
        self.sizes.append(len(tokens))

        def listen(hook: str, acts: Tensor) -> None:
            receive(hook, acts)
            if len(tokens) > self.holds:
                raise torch.OutOfMemoryError("CUDA out of memory")

        super().read(tokens, hooks, listen)


@dataclass
class Notes:
    said: list[str] = field(default_factory=list)

    def start(self, stage: str, total: int, unit: str) -> None: ...

    def advance(self, stage: str, n: int) -> None: ...

    def note(self, text: str) -> None:
        self.said.append(text)


def run(collected: Any, *, holds: int) -> tuple[Summary, Notes, Small]:
    subject, notes = Small(collected.subject, holds=holds), Notes()
    summary = collect(
        subject,
        collected.corpus,
        units=collected.units,
        config=collected.config,
        progress=notes,
    )
    return summary, notes, subject


def test_half_a_batch_at_a_time_counts_every_window_once_at_every_hook(collected: Any) -> None:
    summary, notes, subject = run(collected, holds=2)
    assert notes.said == [
        "out of memory with 7 windows at once: continuing with 4",
        "out of memory with 4 windows at once: continuing with 2",
    ]
    assert subject.sizes.count(7) == 1
    for key, part in collected.summary.hooks.items():
        found = summary.hooks[key]
        assert (found.n_tokens, found.n_windows) == (part.n_tokens, part.n_windows)
        np.testing.assert_array_equal(found.histogram.sum(1), part.histogram.sum(1))
        np.testing.assert_allclose(found.mean, part.mean, atol=1e-6)
        np.testing.assert_allclose(found.top_values, part.top_values, rtol=1e-5)


def test_a_single_window_that_does_not_fit_is_refused(collected: Any) -> None:
    with pytest.raises(InputError, match="out of memory on cpu with a single window of 8 tokens"):
        run(collected, holds=0)


class Leaky(Small):
    """Notes whether what a pass that failed had in memory is still there when the next begins."""

    def __init__(self, subject: SubjectModel) -> None:
        super().__init__(subject, holds=2)
        self.lasting: list[bool] = []
        self._last: weakref.ref[Tensor] | None = None

    def read(
        self, tokens: Tensor, hooks: Sequence[str], receive: Callable[[str, Tensor], None]
    ) -> None:
        if self._last is not None:
            self.lasting.append(self._last() is not None)
        in_memory = torch.zeros(3)
        self._last = weakref.ref(in_memory)
        super().read(tokens, hooks, receive)


def test_what_a_failed_pass_held_is_let_go_of_before_half_a_batch_is_tried(collected: Any) -> None:
    subject = Leaky(collected.subject)
    collect(subject, collected.corpus, units=collected.units, config=collected.config)
    assert not any(subject.lasting)
