"""An SAE that was looked at, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from autointerp.cli.rendering.look_lines import fact_table, share

if TYPE_CHECKING:
    from autointerp.wiring.sae_look import SaeLook, SubjectFit

_BOS = {
    True: "with BOS in front",
    False: "without BOS in front, and so it is read",
    None: "not said; text is read as the subject takes it",
}


def print_sae(look: SaeLook, console: Console) -> None:
    """Prints what it is, and how it does on a subject where one was named."""
    console.print(fact_table(_facts(look)))
    if look.fit is None:
        console.print("--subject NAME tells whether it fits, and how many latents are dead there")
        return
    console.print()
    console.print(fact_table(_fit_facts(look, look.fit)))
    if (cause := _cause(look)) is not None:
        console.print(Text(cause))


def sae_json(look: SaeLook) -> dict[str, object]:
    """The same for ``--json``."""
    config, fit = look.config, look.fit
    done = None if fit is None else fit.activity
    return {
        "kind": "sae",
        "name": look.name,
        "architecture": config.architecture,
        "hook": config.hook_name,
        "hook_out": config.hook_name_out,
        "d_in": config.d_in,
        "n_latents": config.d_sae,
        "k": config.k,
        "normalize_activations": config.normalize_activations,
        "model": config.model_name,
        "context_size": config.context_size,
        "prepend_bos": config.prepend_bos,
        "subject": None if fit is None else fit.subject,
        "fits": None if fit is None else fit.refused is None,
        "refused": None if fit is None else fit.refused,
        "differences": None if fit is None else list(fit.differences),
        "n_tokens": None if done is None else done.n_tokens,
        "n_dead": None if done is None else done.n_dead,
        "dead_share": None if done is None else done.n_dead / config.d_sae,
        "n_dense": None if done is None else done.n_dense,
        "mean_active": None if done is None else done.mean_active,
        "likely_cause": _cause(look),
    }


def _facts(look: SaeLook) -> Mapping[str, str | None]:
    config = look.config
    context = config.context_size
    return {
        "SAE": look.name,
        "kind": config.architecture + (f", k = {config.k}" if config.k else ""),
        "hook point": config.hook_name,
        "writes to": config.hook_name_out,
        "width": f"{config.d_in:,} values, {config.d_sae:,} latents",
        "normalisation": config.normalize_activations,
        "made for": config.model_name or "a model that its cfg.json does not name",
        "context": "not said" if context is None else f"{context:,} tokens, BOS among them",
        "BOS": _BOS[config.prepend_bos],
    }


def _fit_facts(look: SaeLook, fit: SubjectFit) -> Mapping[str, str | None]:
    differs = "\n".join(fit.differences)
    facts = {"subject": fit.subject, "fits": "yes" if fit.refused is None else f"no: {fit.refused}"}
    done, n = fit.activity, look.config.d_sae
    if done is None:
        return facts | ({"differs": differs} if differs else {})
    return facts | {
        "differs": differs or "in nothing that is known",
        "tried on": f"{done.n_tokens:,} tokens",
        "dead latents": share(done.n_dead, n),
        "dense latents": f"{share(done.n_dense, n)}, active at more than 10 % of tokens",
        "active a token": f"{done.mean_active:.1f} in the mean",
    }


def _cause(look: SaeLook) -> str | None:
    """What is likely wrong, where that shows."""
    done = None if look.fit is None else look.fit.activity
    if done is None or done.n_dead < look.config.d_sae:
        return None
    return (
        "all latents are dead: its normalisation, BOS or hook point is likely not what it was "
        "trained with; name another hook point as FOLDER@HOOK, or correct cfg.json"
    )
