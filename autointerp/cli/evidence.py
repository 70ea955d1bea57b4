"""``autointerp evidence``: units are held, put back or pushed, and what that changes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from autointerp.cli.command_options import AsJson, Seed, Server, Tokens
from autointerp.cli.option_groups import with_options
from autointerp.cli.remote_evidence import ask_server, submit_evidence
from autointerp.cli.rendering.console import print_json, result_console, say_loading
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.cli.text_units import NamedUnits
from autointerp.core.causal_evidence import ControlKind, EvidenceKind, Hold, TextKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import InputError
from autointerp.core.probe import NEUTRAL_PROMPTS

_HELPS = {
    "tokens": "Tokens to read (default: as many as the dictionary's labels were made from).",
    "server": "Address of a server, whose workers answer in place of this machine.",
    "seed": "Seed of windows, controls and texts (default: 0).",
}
_N_ANSWERS = 2

_Units = Annotated[
    list[str], typer.Argument(metavar="UNIT...", help="5:131, 5:0-3, a hook point, sae:FOLDER:0-9.")
]
_Kind = Annotated[
    EvidenceKind,
    typer.Option(
        help="ablation: the loss without it; patching: what it carries between two prompts; "
        "attribution: what it adds to the tokens that follow; steering: what is written with it; "
        "sites: it before, within and behind its activation function; rank: is it the unit of its "
        "layer that its own label describes best?"
    ),
]
_Holds = Annotated[
    list[Hold],
    typer.Option("--hold", help="Ablation: at zero, its mean, or another text's; repeatable."),
]
_TextsOn = Annotated[
    list[TextKind] | None,
    typer.Option("--on", help="Ablation: all, exemplars, predicted; repeatable (default: each)."),
]
_Together = Annotated[bool, typer.Option("--together", help="Hold all units as one set.")]
_Subject = Annotated[str | None, typer.Option(help="Subject model (default: the dictionary's).")]
_Folder = Annotated[
    Path | None,
    typer.Option("--dir", help="Dictionary whose labels say where their units are active."),
]
_Corpus = Annotated[str | None, typer.Option(help="Text to hold them on (default: as labelled).")]
_Windows = Annotated[int, typer.Option(help="Held-out windows for the change of loss overall.")]
_Texts = Annotated[int, typer.Option(help="Exemplars, and texts that the label speaks of.")]
_Controls = Annotated[
    int, typer.Option(help="Random units, and random directions; with 19 the smallest p is 0.05.")
]
_Against = Annotated[
    list[ControlKind] | None,
    typer.Option(
        help="Ablation: random_units, random_directions; repeatable (default: both). Without "
        "directions many units share passes."
    ),
]
_Prompts = Annotated[
    list[str] | None,
    typer.Option("--prompt", help="Patching: the prompt. Steering: a text to go on; repeatable."),
]
_Counterfactual = Annotated[
    str | None, typer.Option(help="Patching: another prompt with as many tokens.")
]
_Answers = Annotated[
    list[str] | None,
    typer.Option(
        "--answer", help="Patching: one token after the prompt, then one after the other (twice)."
    ),
]
_Position = Annotated[int | None, typer.Option(help="Patching: at this token alone, from 0.")]
_Kl = Annotated[float, typer.Option(help="Steering: how far the next token is moved, nats.")]
_Length = Annotated[int, typer.Option(help="Steering: tokens that are written.")]
_Encoders = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder", help="Where an SAE or directions lie that were moved: sae:FOLDER, dirs:FILE."
    ),
]
_Keep = Annotated[
    bool, typer.Option("--keep", help="Keep the answers in --dir, or beside the server's labels.")
]
_Job = Annotated[
    bool, typer.Option("--job", help="Submit a job to the server, which keeps the answers.")
]
_Wait = Annotated[bool, typer.Option("--wait", help="With --job: wait until it has ended.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp evidence 5:131 --dir runs/demo --kind ablation")
    @partial(with_options, helps=_HELPS)
    def evidence(  # noqa: PLR0913 - one parameter an option
        units: _Units,
        *,
        kind: _Kind = EvidenceKind.ABLATION,
        hold: _Holds = [Hold.ZERO],  # noqa: B006 - typer copies it
        on: _TextsOn = None,
        together: _Together = False,
        subject: _Subject = None,
        folder: _Folder = None,
        corpus: _Corpus = None,
        tokens: Tokens = None,
        windows: _Windows = 32,
        texts: _Texts = 8,
        controls: _Controls = 19,
        against: _Against = None,
        prompt: _Prompts = None,
        counterfactual: _Counterfactual = None,
        answer: _Answers = None,
        position: _Position = None,
        kl: _Kl = 0.5,
        length: _Length = 25,
        seed: Seed = None,
        encoder: _Encoders = None,
        keep: _Keep = False,
        server: Server = None,
        job: _Job = False,
        wait: _Wait = False,
        as_json: AsJson = False,
    ) -> None:
        """Holds units at zero, puts them back between prompts, or pushes them, beside controls."""
        steering = kind is EvidenceKind.STEERING
        request = CausalRequest(
            kind,
            holds=tuple(dict.fromkeys(hold)),
            texts=tuple(dict.fromkeys(on or TextKind)),
            together=together,
            n_windows=windows,
            n_texts=texts,
            n_controls=controls,
            against=tuple(dict.fromkeys(against or ControlKind)),
            prompt=None if steering else _one(prompt),
            counterfactual=counterfactual,
            answers=_both(answer),
            position=position,
            prompts=tuple(prompt) if steering and prompt else NEUTRAL_PROMPTS,
            target_kl=kl,
            n_tokens=length,
            seed=seed or 0,
        )
        named = NamedUnits.of(units, subject)
        where = {"folder": folder, "corpus": corpus, "tokens": tokens, "encoders": encoder or ()}
        if wait and not job:
            raise InputError("--wait goes with --job")
        if job:
            submit_evidence(server, named, request, where, wait=wait, as_json=as_json)
        elif server is not None:
            ask_server(server, named, request, where, keep=keep, as_json=as_json)
        else:
            _run(named, request, where | {"keep": keep}, as_json=as_json)


def _run(
    named: NamedUnits, request: CausalRequest, where: dict[str, Any], *, as_json: bool
) -> None:
    say_loading()
    # Imported when the command runs: they bring torch, which takes seconds.
    from autointerp.cli.rendering.causal_tables import print_causal  # noqa: PLC0415
    from autointerp.core.causal_json import causal_json  # noqa: PLC0415
    from autointerp.settings import read_settings  # noqa: PLC0415
    from autointerp.wiring.evidence_runs import causal_evidence  # noqa: PLC0415

    with shown_progress() as progress:
        found = causal_evidence(
            named.spec,
            request,
            subject=named.subject,
            settings=read_settings(),
            progress=progress,
            **where,
        )
    if as_json:
        print_json(causal_json(found))
    else:
        print_causal(found, result_console())


def _one(prompts: Sequence[str] | None) -> str | None:
    if prompts is not None and len(prompts) > 1:
        raise InputError(f"one --prompt is patched, found {len(prompts)}; steering takes several")
    return prompts[0] if prompts else None


def _both(answers: Sequence[str] | None) -> tuple[str, str] | None:
    if not answers:
        return None
    if len(answers) != _N_ANSWERS:
        raise InputError(f"--answer is given twice, found {len(answers)}")
    return answers[0], answers[1]
