"""Names of the things that are read: hook points, units and their sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened

_HOOK = re.compile(r"blocks\.([0-9]{1,6})\.[a-z0-9_.]+")
_INDEX = re.compile(r"[0-9]{1,18}")
_NAME = re.compile(
    rf"(?:(?:(?P<subject>[^/]+)/)?(?P<hook>{_HOOK.pattern})|(?P<layer>[0-9]{{1,6}})"
    r"|(?P<ending>(?!blocks\.)[a-z0-9_.]*[a-z_][a-z0-9_.]*))[/:]"
    # No more digits than databases take.
    rf"(?P<index>{_INDEX.pattern})"
)


class Side(StrEnum):
    """The half of a unit's range that a label speaks of.

    In gated MLPs the sign of an activation carries no preference, so a unit may be labelled on
    either half; one-sided activations (ReLU, GELU, SoLU) are labelled on the positive one.
    """

    POSITIVE = "positive"
    NEGATIVE = "negative"

    @property
    def sign(self) -> int:
        """+1 or -1: what an activation is multiplied by before it is rectified."""
        return 1 if self is Side.POSITIVE else -1


@dataclass(frozen=True, slots=True, order=True)
class HookPoint:
    """A named readable tensor of a subject model, in TransformerLens spelling."""

    name: str
    """For example ``blocks.5.mlp.hook_post``; the layer is 0-based."""

    def __post_init__(self) -> None:
        if not _HOOK.fullmatch(self.name):
            raise InputError(
                f"{shortened(self.name)} is not a hook point inside a block; "
                "write for example blocks.5.mlp.hook_post"
            )

    @property
    def layer(self) -> int:
        """The 0-based layer."""
        return int(self.name.split(".", 2)[1])

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, order=True)
class UnitId:
    """One coordinate of a hook point of a subject model.

    Ordered by subject, hook point and index; the layer compares as text, so sort by
    ``(unit.layer, unit.index)`` where people read the result.
    """

    subject: str
    """Name of the subject model; holds no slash."""
    hook: str
    """Hook point, ``blocks.{layer}.mlp.hook_post``."""
    index: int
    """0-based coordinate."""

    @property
    def layer(self) -> int:
        """The 0-based layer."""
        return HookPoint(self.hook).layer

    @property
    def short(self) -> str:
        """As ``show`` takes it: ``5:131``, or with its hook point if that is not hook_post."""
        usual = f"blocks.{self.layer}.mlp.hook_post"
        return f"{self.layer}:{self.index}" if self.hook == usual else f"{self.hook}/{self.index}"

    def __str__(self) -> str:
        return f"{self.subject}/{self.hook}/{self.index}"

    @classmethod
    def parse(cls, text: str) -> UnitId:
        """The unit written as ``subject/hook/index``, or an InputError that shows the form."""
        parts = text.split("/")
        if len(parts) != 3 or not all(parts) or not _INDEX.fullmatch(parts[2]):
            raise InputError(
                f"{shortened(text)} is not a unit; write subject/hook/index, "
                "for example smollm2-135m/blocks.5.mlp.hook_post/131"
            )
        return cls(parts[0], HookPoint(parts[1]).name, int(parts[2]))


@dataclass(frozen=True, slots=True)
class UnitName:
    """A unit as people write it, perhaps without its subject model or hook point."""

    index: int
    """0-based coordinate."""
    layer: int | None = None
    """The 0-based layer; None for any."""
    hook: str | None = None
    """Its hook point, or the last names of it without a layer; None for any of the layer."""
    subject: str | None = None
    """The subject model; None for whichever is read."""

    @classmethod
    def parse(cls, text: str) -> UnitName:
        """From ``5:131``, ``blocks.5.mlp.hook_post/131``, or that behind ``smollm2-135m/``.

        ``sae_mine/0``, as tables write it, is of the hook points whose names end so.

        Raises:
            InputError: it is not of these forms.
        """
        match = _NAME.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"{shortened(text)} is not a unit; write 5:131 or blocks.5.mlp.hook_post/131, or "
                "sae_mine/131 for a latent, as tables name it"
            )
        layer = match["layer"] or (match[3] if match["hook"] else None)
        return cls(
            int(match["index"]),
            None if layer is None else int(layer),
            match["hook"] or match["ending"],
            match["subject"],
        )

    def among(
        self, subject: str, hooks_of: Callable[[int | None], Iterable[str]]
    ) -> tuple[UnitId, ...]:
        """The units of a subject model that it may mean, by hook points of a layer or of all."""
        if self.subject not in {None, subject}:
            return ()
        if self.hook is not None and self.layer is not None:
            hooks: Iterable[str] = (self.hook,)
        else:
            ending = "" if self.hook is None else f".{self.hook}"
            hooks = (hook for hook in hooks_of(self.layer) if hook.endswith(ending))
        return tuple(UnitId(subject, hook, self.index) for hook in hooks)
