"""Forward passes with a unit held up or down, and what the model writes in them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autointerp.core.characters import join_tokens
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence.output_weights import decoder_rows
from autointerp.subjects import SubjectModel
from autointerp.subjects.experts import expert_hook

Rows = Sequence[tuple[int, ...]]
"""Token ids of several prompts, without BOS."""
_LOGITS_AT_ONCE = 2**28
"""Of one pass, which gives them at every token: a gigabyte in float32."""


class AddVector:
    """A hook that adds a vector, as strongly as each row asks, behind the first positions."""

    def __init__(self, vector: Tensor, strengths: Sequence[float], skip: int) -> None:
        self.skip = skip
        rows = torch.as_tensor(strengths, dtype=torch.float32, device=vector.device)
        self._added = rows[:, None, None] * vector
        self._is_idle = False

    @contextmanager
    def idle(self) -> Iterator[None]:
        """While it lasts, nothing is added, so that the model can be run for something else."""
        self._is_idle = True
        try:
            yield
        finally:
            self._is_idle = False

    def __call__(
        self,
        activations: Float[Tensor, "*batch_pos unit"],
        *,
        hook: object,  # noqa: ARG002 - TransformerLens passes it
    ) -> Float[Tensor, "*batch_pos unit"]:
        """The activations with the vector added."""
        if self._is_idle:
            return activations
        # In some MLPs all tokens of a batch stand in one row.
        flat = activations.reshape(len(self._added), -1, self._added.shape[-1]).clone()
        flat[:, self.skip :] += self._added.to(flat.dtype)
        return flat.reshape(activations.shape)


@contextmanager
def steered(
    subject: SubjectModel, unit: UnitId, strengths: Sequence[float]
) -> Iterator[AddVector | None]:
    """While it lasts, each row of a batch has so much added to the unit's activation.

    At every position but BOS; nothing is touched where all strengths are 0.

    Raises:
        InputError: no such unit, or a latent whose decoder is not known.
    """
    if not any(strengths):
        yield None
        return
    hook, vector = _added_vector(subject, unit)
    push = AddVector(vector, strengths, int(subject.bos_at(unit.hook) is not None))
    with subject.bridge.hooks(fwd_hooks=[(hook, push)]):
        yield push


def _added_vector(subject: SubjectModel, unit: UnitId) -> tuple[str, Float[Tensor, " unit"]]:
    """The hook point that TransformerLens can write to, and what one unit of activation is."""
    width = subject.width(unit.hook)
    if not 0 <= unit.index < width:
        msg = f"{unit.hook} of {subject.name} has the units 0 to {width - 1}, not {unit.index}"
        raise InputError(msg)
    if expert_hook(unit.hook) is not None:
        raise InputError(
            f"{unit} cannot be held up or down, as the neurons of one expert are read only; leave "
            "out what steers them"
        )
    hook, encoder = unit.hook, subject.encoders.get(unit.hook)
    if encoder is not None:
        hook, rows = decoder_rows(subject, encoder, [unit.index])
        vector = rows[0]
    else:
        vector = torch.zeros(width, device=subject.device)
        vector[unit.index] = 1.0
    return subject.tl_name(hook), vector


def next_logprobs(
    subject: SubjectModel,
    prompts: Rows,
    added: AbstractContextManager[AddVector | None],
    *,
    bos: int | None,
) -> Float[Tensor, "batch vocab"]:
    """Log-probabilities of the token after each prompt behind BOS, float64 on the CPU."""
    parts: dict[int, Tensor] = {}
    with torch.inference_mode(), added:
        for same in of_equal_length(prompts, n_vocab=subject.n_rows):
            check_length(subject, prompts[same[0]], 1)
            ids = _with_bos(subject, [prompts[row] for row in same], bos)
            logits = _logits(subject.bridge.original_model(ids, use_cache=False))[:, -1]
            logprobs = torch.log_softmax(logits.cpu().to(torch.float64), dim=-1)
            parts |= dict(zip(same, logprobs, strict=True))
    return torch.stack([parts[row] for row in range(len(prompts))])


def write_on(  # noqa: PLR0913 - what a pass needs
    subject: SubjectModel,
    prompts: Rows,
    n_tokens: int,
    generators: Sequence[random.Random],
    push: AddVector | None,
    *,
    bos: int | None,
    check: Callable[[], None] = lambda: None,
) -> list[list[int]]:
    """Sampled token ids, shape (batch, n_tokens), of prompts of one length.

    Each prompt has its own random numbers; `push` holds the unit while this runs. `check` is
    called before each token, while nothing is added, and may end it by raising.
    """
    whole = given = _with_bos(subject, prompts, bos)
    past: Any = None
    written: list[list[int]] = [[] for _ in prompts]
    for _ in range(n_tokens):
        with nullcontext() if push is None else push.idle():
            check()
        with torch.inference_mode():
            stored = {} if past is None else {"past_key_values": past}
            out = subject.bridge.original_model(given, use_cache=True, **stored)
            past = getattr(out, "past_key_values", None)
            drawn = _sample_tokens(_logits(out)[:, -1], generators)
            new = torch.as_tensor(drawn, device=subject.device)[:, None]
            whole = torch.cat([whole, new], dim=1)
        for row, token in zip(written, drawn, strict=True):
            row.append(token)
        # What is not kept is computed again.
        given = whole if past is None else new
        if push is not None and past is not None:
            push.skip = 0
    return written


def _logits(out: Any) -> Float[Tensor, "batch pos vocab"]:
    # TransformerLens' own models give the tensor itself.
    result: Tensor = getattr(out, "logits", out)
    return result


def _sample_tokens(
    logits: Float[Tensor, "batch vocab"], generators: Sequence[random.Random]
) -> list[int]:
    mass = torch.softmax(logits.cpu().to(torch.float64), dim=-1).cumsum(dim=-1)
    at = (
        torch.tensor([[generator.random()] for generator in generators], dtype=torch.float64)
        * mass[:, -1:]
    )
    result: list[int] = torch.searchsorted(mass, at, right=True)[:, 0].tolist()
    return [min(token, logits.shape[1] - 1) for token in result]


def text_of(subject: SubjectModel, ids: Sequence[int]) -> str:
    """The text up to the model's end of text."""
    config = getattr(subject.bridge.original_model, "config", None)
    ends = getattr(config, "eos_token_id", None)
    stops = set(ends) if isinstance(ends, list | tuple) else {ends}
    end = next((place for place, token in enumerate(ids) if token in stops), len(ids))
    return join_tokens(subject.tokenizer.pieces(ids[:end]))


def of_equal_length(rows: Rows, *, n_vocab: int) -> list[list[int]]:
    """Places of rows of one length together, as many as one pass takes: nothing is padded."""
    alike: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        alike.setdefault(len(row), []).append(place)
    result: list[list[int]] = []
    for length, places in alike.items():
        most = max(1, _LOGITS_AT_ONCE // ((1 + length) * n_vocab))
        result += [places[start : start + most] for start in range(0, len(places), most)]
    return result


def check_length(subject: SubjectModel, prompt: Sequence[int], n_tokens: int) -> None:
    """Nothing, when the prompt can be continued by so many tokens; else an InputError."""
    if not prompt:
        raise InputError("a prompt to continue has no tokens; write some words")
    if len(prompt) + n_tokens > subject.max_n_ctx:
        raise InputError(
            f"a prompt of {len(prompt)} tokens and {n_tokens} more do not fit {subject.name}, "
            f"which takes {subject.max_n_ctx}; shorten the prompt"
        )


def _with_bos(subject: SubjectModel, rows: Rows, bos: int | None) -> Int[Tensor, "batch pos"]:
    ids = torch.tensor([list(row) for row in rows], dtype=torch.long, device=subject.device)
    return ids if bos is None else torch.nn.functional.pad(ids, (1, 0), value=bos)
