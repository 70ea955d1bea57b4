"""What a summary is of."""

from __future__ import annotations

from dataclasses import dataclass, fields

from autointerp.core.config import CollectConfig
from autointerp.core.version import VERSION


@dataclass(frozen=True, slots=True)
class SummaryIdentity:
    """What must agree before two summaries may be merged or a checkpoint continued."""

    subject: str
    revision: str
    dtype: str
    tokenizer: str
    corpus: str
    corpus_hash: str
    split_hash: str
    n_ctx: int
    seed: int
    units: tuple[tuple[str, tuple[int, ...]], ...]
    """(hook point, indices) in order of layers."""
    config: CollectConfig
    token_means: bool
    encoders: tuple[tuple[str, str], ...] = ()
    """(derived hook point, digest) of the encoders whose units are among them."""
    package_version: str = VERSION
    """Of the program that collected: another one may sum or sample otherwise."""

    def differences(self, other: SummaryIdentity) -> str:
        """``name: this here and that there`` for all that differs, joined; or empty."""
        mine, theirs = _flat(self), _flat(other)
        found = []
        for name in (name for name in mine if mine[name] != theirs.get(name)):
            shown = "differ" if name == "units" else f"{mine[name]} and {theirs.get(name)}"
            found.append(f"{name}: {shown}")
        return "; ".join(found)


def _flat(identity: SummaryIdentity) -> dict[str, object]:
    values = {field.name: getattr(identity, field.name) for field in fields(identity)}
    config = values.pop("config").model_dump(mode="json")
    return values | {f"config.{name}": value for name, value in config.items()}
