"""A subject model: what is explained, read at its hook points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.notebook_html import facts_html
from autointerp.subjects.encoder_fit import check_fit
from autointerp.subjects.encoders import Encoder, derived_hook, receive_encoded
from autointerp.subjects.experts import expert_hook, experts_of
from autointerp.subjects.hook_points import Receiver, check_hook, check_tokens, read_hooks, tl_name
from autointerp.subjects.mlp_layers import gated
from autointerp.subjects.model_facts import embedding_rows, mlp_dtype
from autointerp.subjects.tokenizer import HfTokenizer

_ORDINARY = ("mlp.hook_pre", "mlp.hook_mid", "mlp.hook_post")


class SubjectModel:
    """A language model wrapped by TransformerLens, read without computing logits."""

    def __init__(self, bridge: Any, tokenizer: HfTokenizer, *, name: str, revision: str) -> None:
        """Wraps a `transformer_lens.model_bridge.TransformerBridge` in evaluation mode.

        The name goes into unit ids and holds no slash; the revision is a digest or commit of the
        weights.
        """
        self.bridge = bridge
        self.tokenizer = tokenizer
        self.name = name
        self.revision = revision
        parameter = next(iter(bridge.parameters()))
        self.device: torch.device = parameter.device
        # Models may hold parts in other dtypes: the neurons' is that of the MLPs.
        self.dtype: torch.dtype = mlp_dtype(bridge) or parameter.dtype
        self.n_rows = embedding_rows(bridge)
        self.n_layers = int(bridge.cfg.n_layers)
        self._widths: dict[str, int] = {}
        self._encoders: dict[str, Encoder] = {}

    def __repr__(self) -> str:
        return (
            f"SubjectModel({self.name}, {self.n_layers} layers, {self.dtype_name} on {self.device})"
        )

    def _repr_html_(self) -> str:
        kind = self.neuron_kind
        widths = {
            layer: self.width_or_none(f"blocks.{layer}.mlp.{kind}")
            for layer in sorted({0, self.n_layers - 1})
        }
        neurons = ", ".join(f"{n:,} (layer {layer})" for layer, n in widths.items() if n)
        facts = {
            "layers": f"0 to {self.n_layers - 1}",
            "neurons": f"{neurons or 'none of a dense MLP there'}, read at mlp.{kind}",
            "longest text": f"{self.max_n_ctx:,} tokens",
            "weights": f"{self.dtype_name} on {self.device}, revision {self.revision}",
            "encoders": ", ".join(self._encoders),
        }
        return facts_html(f"Subject model {self.name}", facts)

    @property
    def dtype_name(self) -> str:
        """``float32`` or ``bfloat16``."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def max_n_ctx(self) -> int:
        """Text tokens that fit one forward pass, BOS left room for."""
        return int(self.bridge.cfg.n_ctx) - (self.tokenizer.bos_id is not None)

    @property
    def neuron_kind(self) -> str:
        """``hook_mid`` where the model has one, else ``hook_post``.

        That of SoLU lies before its extra LayerNorm, where Elhage et al. 2022 and Neuroscope read.
        """
        mid = self.tl_name("blocks.0.mlp.hook_mid")
        return "hook_mid" if mid in self.bridge.hook_dict else "hook_post"

    @property
    def encoders(self) -> Mapping[str, Encoder]:
        """Attached encoders by the derived hook point at which their units live."""
        return MappingProxyType(self._encoders)

    def bos_at(self, hook: str) -> int | None:
        """Id put in front of a text when this hook point is read; None for none."""
        bare = hook in self._encoders and self._encoders[hook].without_bos
        return None if bare else self.tokenizer.bos_id

    def attach(self, encoder: Encoder) -> str:
        """The derived hook point at which the encoder's units can be read from now on.

        It encodes in float32 on the model's device, whatever the model's dtype. An equal one
        that is attached already stays.

        Raises:
            InputError: another encoder has that name, or the hook point another width.
        """
        name = derived_hook(encoder)
        before = self._encoders.get(name)
        if before is not None:
            if before.digest == encoder.digest:
                return name
            raise InputError(
                f"another encoder is attached to {self.name} as {name} (digests {before.digest} "
                f"and {encoder.digest}); rename the file or folder of one of them"
            )
        if encoder.hook in self._encoders:
            msg = f"{encoder.name} reads {encoder.hook}, itself an encoder's; read a hook point"
            raise InputError(msg)
        check_fit(encoder, self.width, name=self.name)
        self._encoders[name] = encoder.to(self.device, torch.float32)
        self._widths[name] = encoder.n_units
        return name

    def width_or_none(self, hook: str) -> int | None:
        """Number of units at a hook point; None where there is no such hook point."""
        try:
            return self.width(hook)
        except InputError:
            return None

    def two_sided(self, hook: str) -> bool:
        """Whether the sign of an activation carries no preference at this hook point.

        In a gated MLP ``hook_post`` is act(gate) * up, whose sign is arbitrary; before the
        gate's activation, and after an ordinary one, only the positive side excites.
        """
        if hook in self._encoders:
            return self._encoders[hook].two_sided
        if (place := expert_hook(hook)) is not None:
            experts = experts_of(self.bridge, place[0])
            return experts is None or experts.gated
        if not hook.endswith(_ORDINARY):
            return True
        return hook.endswith("hook_post") and gated(self.bridge, hook)

    def input_hook(self, hook: str) -> str:
        """Where what the units of a hook point read can be read itself.

        For units inside an MLP it is what enters that, behind the norm; for those of an encoder
        what it encodes; else, or where what enters cannot be read, the hook point.
        """
        if hook in self._encoders:
            return self._encoders[hook].hook
        block, layer, kind = hook.split(".", 2)
        entering = f"{block}.{layer}.mlp.hook_in"
        inside = kind.startswith("mlp.") and kind != "mlp.hook_out"
        return entering if inside and self.width_or_none(entering) is not None else hook

    def width(self, hook: str) -> int:
        """Number of units at a hook point.

        Raises:
            InputError: no such hook point; the message names near ones.
        """
        self._look_at((hook,))
        return self._widths[hook]

    def check_indices(self, hook: str, indices: Sequence[int]) -> None:
        """Nothing, when there are indices and all are units at the hook point.

        Raises:
            InputError: otherwise, or no such hook point.
        """
        width = self.width(hook)
        if not indices or min(indices) < 0 or max(indices) >= width:
            msg = f"{hook} of {self.name} has the units 0 to {width - 1}; name some of these"
            raise InputError(msg)

    def read(
        self, tokens: Int[Tensor, "batch pos"], hooks: Sequence[str], receive: Receiver
    ) -> None:
        """Hands each hook point's activations to ``receive``, then stops the forward pass.

        Args:
            tokens: text tokens, right-padded, no BOS: it is put in front here and its position
                is cut from what ``receive`` gets. Padding stands behind every real token of a
                causal model and so changes none of their activations. Encoders that were trained
                without BOS are read in a pass of their own, without it.
            hooks: hook points to read; the pass ends behind the last of them. Those of attached
                encoders are computed from the hook points that these read.
            receive: called once a hook point, in the order of computation, with activations of
                shape (batch, pos, unit) on the model's device and in its dtype, an encoder's
                in float32.

        Raises:
            InputError: a hook point that the model does not have.
        """
        self._look_at(hooks)
        groups: dict[int | None, list[str]] = {}
        for hook in sorted(hooks, key=lambda hook: self.bos_at(hook) is None):
            groups.setdefault(self.bos_at(hook), []).append(hook)
        for bos, group in groups.items():
            bases, receive_both = receive_encoded(group, self._encoders, receive)
            self._forward(tokens, bases, receive_both, bos=bos)

    def read_rows(
        self, rows: Sequence[Sequence[int]], units: Mapping[str, Sequence[int]]
    ) -> NDArray[np.float32]:
        """Activations of some units on rows of tokens, shape (row, unit, pos).

        Rows are token ids without BOS, at least one in each; values behind the end of a row mean
        nothing. Units are indices by hook point, and stay in this order.
        """
        tokens = torch.zeros((len(rows), max(map(len, rows))), dtype=torch.long)
        for row, ids in enumerate(rows):
            tokens[row, : len(ids)] = torch.tensor(ids)
        parts: dict[str, Tensor] = {}

        def receive(hook: str, activations: Tensor) -> None:
            chosen = torch.as_tensor(units[hook], device=activations.device)
            parts[hook] = activations.index_select(2, chosen).to(torch.float32)

        self.read(tokens, list(units), receive)
        # One copy from the device for all hook points together.
        together = torch.cat([parts[hook] for hook in units], dim=2)
        return np.ascontiguousarray(together.cpu().numpy().transpose(0, 2, 1))

    def _look_at(self, hooks: Sequence[str]) -> None:
        unknown = [hook for hook in hooks if hook not in self._widths]
        if not unknown:
            return
        for hook in unknown:
            check_hook(self.bridge, hook, name=self.name, run=self._run_some_tokens)

        probe = torch.zeros((2, self._probe_length()), dtype=torch.long)
        values: dict[str, Tensor] = {}
        several: set[str] = set()

        def note(hook: str, activations: Tensor) -> None:
            if hook in values and not torch.equal(values[hook], activations):
                several.add(hook)
            values[hook] = activations.clone()

        try:
            self._forward(probe, unknown, note, bos=self.tokenizer.bos_id, whole=True)
        except ValueError as error:
            msg = f"{', '.join(unknown)} of {self.name} cannot be read: {error}"
            raise InputError(msg) from error
        for hook in unknown:
            if hook not in values:
                msg = f"hook point {hook} of {self.name} exists but is never computed; read another"
                raise InputError(msg)
            if hook in several:
                raise InputError(
                    f"hook point {hook} of {self.name} has several values for each token: what it "
                    "reads is run more than once in a pass (layers share it, or are repeated)"
                )
            shape = values[hook].shape
            if len(shape) != 3 or shape[:2] != probe.shape:
                raise InputError(
                    f"hook point {hook} of {self.name} has no value for each token and unit; "
                    "read one that has, for example mlp.hook_post of the same block"
                )
            self._widths[hook] = int(shape[2])

    def _run_some_tokens(self) -> None:
        tokens = torch.arange(2 * self._probe_length()).reshape(2, -1) % self.n_rows
        self.bridge(tokens.to(self.device), return_type=None)

    def _probe_length(self) -> int:
        # Attention patterns have heads where others have positions: the two must not agree.
        skip = self.tokenizer.bos_id is not None
        heads = {getattr(self.bridge.cfg, n, None) for n in ("n_heads", "n_key_value_heads")}
        return next(length for length in range(2, 5) if length + skip not in heads)

    def tl_name(self, hook: str) -> str:
        """The hook point as this version of TransformerLens names it."""
        return tl_name(self.bridge, hook)

    def _forward(
        self,
        tokens: Tensor,
        hooks: Sequence[str],
        receive: Receiver,
        *,
        bos: int | None,
        whole: bool = False,
    ) -> None:
        check_tokens(tokens, self.tokenizer, self.n_rows, self.max_n_ctx, name=self.name)
        tokens = tokens.to(self.device, torch.long, non_blocking=tokens.is_pinned())
        if bos is not None:
            tokens = torch.nn.functional.pad(tokens, (1, 0), value=bos)
        skip = 0 if bos is None else 1
        read_hooks(self.bridge, tokens, hooks, receive, skip=skip, name=self.name, whole=whole)
