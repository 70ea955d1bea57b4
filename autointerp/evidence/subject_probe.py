"""The subject model as a probe: texts are run through it, and it writes with a unit held."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import override

from autointerp.core.characters import join_tokens
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.probe import ProbedText, UnitProbe
from autointerp.evidence.steered_passes import Rows
from autointerp.evidence.steering import Steering, steered_texts, steering_strength
from autointerp.subjects import SubjectModel, select_units

_Values = dict[UnitId, tuple[float, ...]]
_Answer = tuple[tuple[float, ...], ...]
_SteeringKey = tuple[UnitId, float, float, Rows]


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """One call of `measure` or `measure_ids` that waits."""

    unit: UnitId
    texts: tuple[tuple[int, ...], ...]
    """Token ids of each text."""
    answer: asyncio.Future[_Answer]


class SubjectProbe(UnitProbe):
    """Probes a subject model; use one `SubjectProbe` for each.

    Calls that arrive together share forward passes, in one worker thread: a model is not for two.
    What a unit did on a text is kept for a while. Which texts run together decides the last bits
    of an activation, as it does in any collection.
    """

    def __init__(
        self, subject: SubjectModel, *, batch_tokens: int = 4096, n_cached: int = 4096
    ) -> None:
        """Wraps the model.

        A forward pass has at most ``batch_tokens`` tokens, padding included; the activations of
        the ``n_cached`` texts that were used last are cached.
        """
        self._subject = subject
        self._batch_tokens, self._n_cached = batch_tokens, n_cached
        self._cached: OrderedDict[tuple[int, ...], _Values] = OrderedDict()
        self._waiting: list[_Asked] = []
        self._emptying: asyncio.Task[None] | None = None
        self._one_at_a_time = threading.Lock()
        self._strengths: dict[_SteeringKey, Steering | str] = {}

    @override
    async def measure(self, unit: UnitId, texts: Sequence[str]) -> tuple[ProbedText, ...]:
        return await self._measured(unit, texts, tuple(map(self._encoded, texts)))

    @override
    async def measure_ids(
        self, unit: UnitId, sequences: Sequence[Sequence[int]]
    ) -> tuple[ProbedText, ...]:
        ids = tuple(map(self._checked, sequences))
        texts = [join_tokens(self._subject.tokenizer.pieces(own)) for own in ids]
        return await self._measured(unit, texts, ids)

    @override
    async def continuations(  # noqa: PLR0913 - the protocol's
        self,
        unit: UnitId,
        prompts: Sequence[str],
        *,
        sign: float,
        target_kl: float,
        n_tokens: int,
        seed: int,
    ) -> tuple[str, ...]:
        self._refuse_stranger(unit)
        ids = tuple(tuple(self._subject.tokenizer.encode(prompt)) for prompt in prompts)

        def work() -> tuple[str, ...]:
            with self._one_at_a_time:
                steering = self._steering(unit, ids, sign, target_kl)
                return steered_texts(self._subject, steering, ids, n_tokens=n_tokens, seed=seed)

        return await asyncio.to_thread(work)

    def _steering(self, unit: UnitId, ids: Rows, sign: float, target_kl: float) -> Steering:
        key = (unit, sign, target_kl, tuple(sorted(set(ids))))
        result = self._strengths.get(key)
        if result is None:
            try:
                result = steering_strength(
                    self._subject, unit, key[3], sign=sign, target_kl=target_kl
                )
            except InputError as error:
                result = str(error)
            self._strengths[key] = result
        if isinstance(result, str):
            raise InputError(result)
        return result

    async def _measured(
        self, unit: UnitId, texts: Sequence[str], ids: tuple[tuple[int, ...], ...]
    ) -> tuple[ProbedText, ...]:
        if not ids:
            return ()
        asked = _Asked(unit, ids, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        # A task of a loop that was closed is done as well.
        if self._emptying is None or self._emptying.done():
            self._emptying = asyncio.create_task(self._empty())
        result = await asked.answer
        return tuple(
            ProbedText(text, self._subject.tokenizer.pieces(own), values)
            for text, own, values in zip(texts, ids, result, strict=True)
        )

    def _checked(self, sequence: Sequence[int]) -> tuple[int, ...]:
        longest, n_rows = self._subject.max_n_ctx, self._subject.n_rows
        if not 0 < len(sequence) <= longest:
            msg = f"a sequence to run has {len(sequence)} tokens, the model takes 1 to {longest}"
            raise InputError(msg)
        wrong = [token for token in sequence if not 0 <= token < n_rows]
        if wrong:
            raise InputError(
                f"{wrong[0]} is not a token id of {self._subject.name}; they are 0 to {n_rows - 1}"
            )
        return tuple(sequence)

    def _encoded(self, text: str) -> tuple[int, ...]:
        ids = tuple(self._subject.tokenizer.encode(text))
        if not ids:
            raise InputError(f"a text to run has no tokens: {text[:40]!r}; write some words")
        return ids[: self._subject.max_n_ctx]

    def _refuse_stranger(self, unit: UnitId) -> None:
        if unit.subject != self._subject.name:
            msg = f"{unit} is not a unit of {self._subject.name}, which is the model loaded here"
            raise InputError(msg)

    async def _empty(self) -> None:
        """Answers all that waits, and what comes in the meantime."""
        while self._waiting:
            # Whatever else is ready to run may ask too.
            await asyncio.sleep(0)
            batch, self._waiting = self._waiting, []
            batch = [asked for asked in batch if not asked.answer.done()]
            running = asyncio.ensure_future(asyncio.to_thread(self._answers, batch))
            await asyncio.wait((running,))
            # Whatever ended the pass ends every call that waited for it.
            error = running.exception()
            outcomes = [error] * len(batch) if error else running.result()
            for asked, outcome in zip(batch, outcomes, strict=True):
                _settle(asked.answer, outcome)

    def _answers(self, batch: Sequence[_Asked]) -> list[tuple[tuple[float, ...], ...] | InputError]:
        with self._one_at_a_time:
            wrong = {asked.unit: self._why_not(asked.unit) for asked in batch}
            good = [asked for asked in batch if wrong[asked.unit] is None]
            self._run({ids: None for asked in good for ids in asked.texts}, good)
            answers: list[_Answer | InputError] = []
            for asked in batch:
                error = wrong[asked.unit] or self._not_finite(asked)
                values = () if error else tuple(self._cached[i][asked.unit] for i in asked.texts)
                answers.append(error or values)
            while len(self._cached) > self._n_cached:
                self._cached.popitem(last=False)
            return answers

    def _why_not(self, unit: UnitId) -> InputError | None:
        try:
            self._refuse_stranger(unit)
            width = self._subject.width(unit.hook)
        except InputError as error:
            return error
        if 0 <= unit.index < width:
            return None
        return InputError(f"{unit.hook} of {unit.subject} has the units 0 to {width - 1}")

    def _not_finite(self, asked: _Asked) -> InputError | None:
        for number, ids in enumerate(asked.texts):
            values = self._cached[ids][asked.unit]
            bad = [value for value in values if not abs(value) < float("inf")]
            if bad:
                msg = (
                    f"activation of {asked.unit} is {bad[0]} in text {number}; load the subject "
                    "model in float32 or find the broken weights"
                )
                return InputError(msg)
        return None

    def _run(self, texts: Mapping[tuple[int, ...], None], asked: Sequence[_Asked]) -> None:
        """Keeps every asked unit on every text on which one is missing."""
        needed: dict[tuple[int, ...], set[UnitId]] = {}
        for one in asked:
            for ids in one.texts:
                needed.setdefault(ids, set()).add(one.unit)
        missing = []
        for ids in texts:
            if ids in self._cached:
                self._cached.move_to_end(ids)
            if needed[ids] - self._cached.get(ids, {}).keys():
                missing.append(ids)
        units = {unit for ids in missing for unit in needed[ids]}
        for rows in _batches(sorted(missing, key=lambda ids: (len(ids), ids)), self._batch_tokens):
            for ids, values in zip(rows, self._read(rows, units), strict=True):
                self._cached.setdefault(ids, {}).update(values)

    def _read(self, rows: Sequence[tuple[int, ...]], units: Iterable[UnitId]) -> list[_Values]:
        chosen = select_units(units)
        values = self._subject.read_rows(rows, {group.hook: group.indices for group in chosen})
        ids = [UnitId(self._subject.name, group.hook, i) for group in chosen for i in group.indices]
        return [
            {unit: tuple(line[: len(row)].tolist()) for unit, line in zip(ids, lines, strict=True)}
            for row, lines in zip(rows, values, strict=True)
        ]


def _settle(answer: asyncio.Future[_Answer], outcome: _Answer | BaseException) -> None:
    if answer.done():
        return
    if isinstance(outcome, BaseException):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def _batches(
    rows: Sequence[tuple[int, ...]], batch_tokens: int
) -> Iterable[Sequence[tuple[int, ...]]]:
    """Runs of rows, ascending by length, that fit a forward pass; one row always does."""
    first = 0
    for place, row in enumerate(rows):
        if place > first and (place - first + 1) * len(row) > batch_tokens:
            yield rows[first:place]
            first = place
    if rows:
        yield rows[first:]
