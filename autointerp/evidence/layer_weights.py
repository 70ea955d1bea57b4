"""What all units of a hook point read and write, by their weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.evidence.input_weights import InputRows, NormsBefore, input_rows
from autointerp.evidence.output_weights import (
    all_output_directions,
    decoder_rows,
    output_directions,
)
from autointerp.subjects import SparseEncoder, SubjectModel
from autointerp.subjects.mlp_layers import no_neurons
from autointerp.subjects.plain_model import PlainModel

_STREAM = (
    "hook_resid_pre",
    "hook_resid_mid",
    "hook_resid_post",
    "hook_in",
    "hook_out",
    "hook_attn_out",
    "hook_mlp_out",
)
_BEFORE_MLP = ("hook_resid_pre", "hook_resid_mid", "hook_in", "hook_attn_out")
_AT_ONCE = 4096
N_LAYERS_NEAR = 4
"""So many layers before and behind a unit are looked through for neurons that it is tied to."""


class Ranked:
    """One number of each unit, and where it stands among those of the others."""

    def __init__(self, values: Tensor) -> None:
        self._values = values.double().cpu().numpy()
        self._sizes = np.sort(np.abs(self._values))
        self.median = float(np.median(self._values))

    def __getitem__(self, index: int) -> float:
        return float(self._values[index])

    def share_as_large(self, index: int) -> float:
        """Share of all units whose number is at least as large in size."""
        below = np.searchsorted(self._sizes, abs(self._values[index]))
        return 1.0 - float(below) / len(self._sizes)


@dataclass(frozen=True, slots=True)
class HookWeights:
    """Lengths and cosines of all units of a hook point."""

    reads: dict[str, InputRows]
    """Empty where it is not known what they read."""
    read_lengths: dict[str, Float[Tensor, " unit"]]
    write_lengths: Float[Tensor, " unit"] | None
    """None where it is not known what they write."""
    norms: dict[str, Ranked]
    """The same lengths by the name of what is read, and ``output``."""
    bias_products: Ranked | None
    """Of the length of the first part that is read and the bias; None without a bias."""
    cosines: dict[str, Ranked]
    """Of what each part reads and what is written; empty where the two lie in different spaces."""
    in_stream: bool
    """Whether that is the residual stream, behind a norm or not."""


class LayerWeights:
    """Reads the weights of a subject model, a hook point at a time."""

    def __init__(self, subject: SubjectModel) -> None:
        self.subject = subject
        self.norms = NormsBefore(subject)
        self._reads = cache(self._read)
        self.of = cache(self._of)
        self.near = cache(self._near)

    def reads(self, hook: str) -> dict[str, InputRows]:
        """What the units of a hook point read; empty where it is not known."""
        return self._reads(hook)

    def all_writes(self, hook: str) -> Float[Tensor, "unit d"] | None:
        """What all units of a hook point write to the stream.

        Of latents of a part inside a block what they write there. None where it is not known.
        """
        encoder = self.subject.encoders.get(hook)
        try:
            if encoder is None or reads_stream(encoder.hook):
                return all_output_directions(self.subject, hook)
            return decoder_rows(self.subject, encoder, range(encoder.n_units))[1].to(torch.float32)
        except InputError:
            return None

    def to_stream(self, hook: str, indices: list[int]) -> Float[Tensor, "unit d_model"] | None:
        """What units write to the stream, by way of weights behind them where need be."""
        try:
            rows = output_directions(self.subject, hook, indices)
        except InputError:
            return None
        return rows - rows.mean(dim=1, keepdim=True) if self.centred else rows

    def less_mean(self, hook: str, rows: Float[Tensor, "unit d"]) -> Float[Tensor, "unit d"]:
        """Rows of `all_writes` less their mean, where norms take that of the stream away."""
        in_stream = self._in_stream(hook) and self.centred
        return rows - rows.mean(dim=1, keepdim=True) if in_stream else rows

    @cached_property
    def centred(self) -> bool:
        """Whether the norms before MLPs take the mean of the stream away."""
        first = next(iter(self.neuron_hooks()), None)
        return first is not None and any(part.centred for part in self.reads(first).values())

    @cache  # noqa: B019 - one object a job
    def neuron_hooks(self) -> tuple[str, ...]:
        """The hook points of the neurons of all layers that have some which are known."""
        subject, bridge = self.subject, self.subject.bridge
        if isinstance(bridge, PlainModel):
            return ()
        hooks = [f"blocks.{n}.mlp.{subject.neuron_kind}" for n in range(subject.n_layers)]
        there = [h for h in hooks if subject.tl_name(h) in bridge.hook_dict]
        return tuple(hook for hook in there if no_neurons(bridge, hook) is None)

    def _near(self, hook: str) -> tuple[list[str], list[str]]:
        """The neurons of up to four layers before a hook point, and of as many behind it."""
        encoder = self.subject.encoders.get(hook)
        base = hook if encoder is None else encoder.hook
        layer, kind = HookPoint(base).layer, base.split(".", 2)[2]
        beside = bool(getattr(self.subject.bridge.cfg, "parallel_attn_mlp", False))
        own_is_behind = kind in _BEFORE_MLP or (kind.startswith("attn.") and not beside)
        own_is_before = kind in _STREAM and not own_is_behind
        layers = {HookPoint(one).layer: one for one in self.neuron_hooks()}
        before = [one for n, one in layers.items() if n < layer + own_is_before]
        behind = [one for n, one in layers.items() if n > layer - own_is_behind]
        return before[-N_LAYERS_NEAR:], behind[:N_LAYERS_NEAR]

    def _read(self, hook: str) -> dict[str, InputRows]:
        return input_rows(self.subject, hook, self.norms) or {}

    def _of(self, hook: str) -> HookWeights:
        reads, writes = self.reads(hook), self.all_writes(hook)
        width = (
            len(writes)
            if writes is not None
            else max((len(p.rows) for p in reads.values()), default=0)
        )
        lengths: dict[str, list[Tensor]] = {name: [] for name in reads}
        cosines: dict[str, list[Tensor]] = {name: [] for name in reads}
        written: list[Tensor] = []
        for first in range(0, width, _AT_ONCE):
            chosen = slice(first, first + _AT_ONCE)
            rows = None if writes is None else self.less_mean(hook, writes[chosen])
            if rows is not None:
                written.append(rows.norm(dim=1))
            for name, part in reads.items():
                read = part.of(chosen)
                lengths[name].append(read.norm(dim=1))
                if rows is not None and self._same_space(hook):
                    both = lengths[name][-1] * written[-1]
                    cosines[name].append((read * rows).sum(dim=1) / both.clamp_min(1e-30))
        read_lengths = {name: torch.cat(parts) for name, parts in lengths.items()}
        write_lengths = torch.cat(written) if written else None
        every = read_lengths if write_lengths is None else read_lengths | {"output": write_lengths}
        return HookWeights(
            reads,
            read_lengths,
            write_lengths,
            {name: Ranked(values) for name, values in every.items()},
            _bias_products(reads, read_lengths),
            {name: Ranked(torch.cat(parts)) for name, parts in cosines.items() if parts},
            self._in_stream(hook),
        )

    def _in_stream(self, hook: str) -> bool:
        encoder = self.subject.encoders.get(hook)
        return encoder is None or reads_stream(encoder.hook)

    def _same_space(self, hook: str) -> bool:
        encoder = self.subject.encoders.get(hook)
        if isinstance(encoder, SparseEncoder) and encoder.writes_to != encoder.hook:
            return reads_stream(encoder.hook) and reads_stream(encoder.writes_to)
        return True


def _bias_products(reads: dict[str, InputRows], lengths: dict[str, Tensor]) -> Ranked | None:
    name, part = next(iter(reads.items()), (None, None))
    if name is None or part is None or part.bias is None:
        return None
    return Ranked(lengths[name] * part.bias.to(torch.float32))


def reads_stream(hook: str) -> bool:
    """Whether the values at a hook point are the residual stream's coordinates."""
    return hook.split(".", 2)[2] in _STREAM
