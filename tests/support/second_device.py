"""A device that is not there: every operation on it is checked as a GPU would check it.

Tensors of a subject moved to it are on torch's ``meta`` device. Beside them no tensor of the CPU
may stand, as beside those of a GPU; what is copied to the CPU comes as zeros; and places where the
host waits for the device are noted.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typing_extensions import override

from autointerp.subjects import SubjectModel

SECOND = torch.device("meta")
_COPY = torch.ops.aten._to_copy.default
_COPY_INTO = torch.ops.aten.copy_.default
_READ = torch.ops.aten._local_scalar_dense.default


class SecondDevice(TorchDispatchMode):
    """While it lasts, operations on the device are checked."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        """The file of each place where the host needed what the device had not computed yet."""

    @override
    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [tensor for tensor in tensors if tensor.device == SECOND]
        if not there or func is _COPY_INTO:
            return func(*args, **kwargs)
        # In inference mode operations come whole that are made up of others.
        with self:
            whole = func.decompose(*args, **kwargs)
        if whole is not NotImplemented:
            return whole
        # Single numbers of the CPU may stand beside tensors of a GPU.
        if any(tensor.ndim for tensor in tensors if tensor.device != SECOND):
            raise AssertionError(f"{func} of tensors on two devices")
        if func is _COPY and torch.device(kwargs.get("device") or SECOND) != SECOND:
            self.waits.append(_caller())
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        if func is _READ:
            self.waits.append(_caller())
            return torch.zeros((), dtype=args[0].dtype).item()
        return func(*args, **kwargs)


def _caller() -> str:
    files = [frame.filename for frame in traceback.extract_stack()]
    return next(f for f in reversed(files) if f != __file__ and "/torch/" not in f)


def moved(subject: SubjectModel, hooks: Sequence[str]) -> SubjectModel:
    """The subject, of whose weights only shapes are left, on the device; it knows these widths."""
    for hook in hooks:
        subject.width(hook)
    torch.nn.Module.to(subject.bridge.original_model, SECOND)
    subject.bridge.cfg.device = SECOND
    subject.device = SECOND
    return subject
