"""What units do on a text, from a dictionary and a subject model here, or from a server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autointerp.cli.unit_view import UnitView, read_remote_unit, read_unit
from autointerp.core.characters import join_tokens
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.store.labels.folder_stores import holds_labels

if TYPE_CHECKING:
    from autointerp.client import Client
    from autointerp.dictionary import Dictionary
    from autointerp.subjects import SubjectModel

DEFAULT_SUBJECT = "smollm2-135m"
_NAMED = re.compile(
    r"(?:(?P<subject>[^/:,]+)/)?(?P<hook>blocks\.[0-9]{1,6}\.[a-z0-9_.]+)[/:](?P<rest>[^/]+)"
)
_SHORT = re.compile(r"[0-9]{1,6}/[0-9]{1,18}")
_Text = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class NamedUnits:
    """Units as they were typed."""

    spec: str
    """As `core.unit_spec` reads it."""
    subject: str | None
    """Which subject model they name."""

    @classmethod
    def of(cls, texts: Sequence[str], subject: str | None) -> NamedUnits:
        """From ``5:131``, ``5/131``, ``MODEL/blocks.5.mlp.hook_post/131`` or a specification.

        Raises:
            InputError: they are of several subject models.
        """
        named = {subject} if subject else set()
        parts = []
        for text in (text.strip() for text in texts):
            match = _NAMED.fullmatch(text)
            if match is not None:
                named |= {match["subject"]} - {None}
                parts.append(f"{match['hook']}:{match['rest']}")
            else:
                parts.append(text.replace("/", ":") if _SHORT.fullmatch(text) else text)
        if len(named) > 1:
            models = ", ".join(sorted(filter(None, named)))
            raise InputError(f"units of one subject model are read at a time; found {models}")
        return cls(",".join(parts), next(iter(named), None))


@dataclass(frozen=True, slots=True)
class TextUnit:
    """One side of a unit on a text; of a unit without a label, both."""

    unit: UnitId
    side: Side | None
    values: tuple[float, ...]
    """A token each, model units of the side; of both sides with their sign."""
    peak: float | None
    """The side's largest over the explain set; None where that is not known."""
    description: str | None
    score: float | None

    def size(self, value: float) -> float:
        """How far a value is along the scale, in model units."""
        return abs(value) if self.side is None else value

    @property
    def scale(self) -> float:
        """Where the scale ends, above 0."""
        return self.peak or max(map(abs, self.values), default=0.0) or 1.0


def local_subject(named: str | None, folder: Path | None) -> tuple[SubjectModel, Dictionary | None]:
    """The subject model, and its dictionary where the folder holds one of it.

    Raises:
        InputError: there is no such model, or no such dictionary.
    """
    from autointerp.dictionary import open_dictionary  # noqa: PLC0415 - --help starts without it
    from autointerp.settings import read_settings  # noqa: PLC0415
    from autointerp.subjects import load_subject  # noqa: PLC0415 - brings torch

    dictionary = None if folder is None else open_dictionary(folder)
    name = named or DEFAULT_SUBJECT
    if dictionary is not None and named in {None, dictionary.manifest.subject}:
        job = dictionary.manifest.job
        name = dictionary.manifest.subject if job is None else job.subject
    settings = read_settings()
    subject = load_subject(name, device=settings.device, cache_dir=settings.cache_dir)
    if dictionary is not None and dictionary.manifest.subject != subject.name:
        raise InputError(
            f"{folder} has labels of {dictionary.manifest.subject} and not of {subject.name}; name "
            "another with --dir"
        )
    return subject, dictionary


def local_activations(subject: SubjectModel, units: str, text: _Text) -> dict[str, Any]:
    """The same as a server's answer."""
    from autointerp.activations import live_activations  # noqa: PLC0415 - brings torch

    [found] = live_activations(subject, [text], units=units)
    rows = zip(found.units, found.values.tolist(), strict=True)
    return {
        "model": subject.name,
        "text": found.text,
        "tokenized": isinstance(text, str),
        "token_ids": list(found.token_ids),
        "tokens": list(found.tokens),
        "units": [{"unit": str(unit), "activations": row} for unit, row in rows],
    }


def local_strongest(
    subject: SubjectModel,
    dictionary: Dictionary | None,
    text: _Text,
    n: int,
    layers: Sequence[int] | None,
) -> dict[str, Any]:
    """The same as a server's answer about the strongest units."""
    from autointerp.activations import strongest_units  # noqa: PLC0415 - brings torch

    rows: dict[tuple[str, int, Side], Any] = {}
    maxima: dict[tuple[str, Side], dict[int, float]] = {}
    for given in [] if dictionary is None else dictionary.rows():
        row: Mapping[str, Any] = given
        hook, index, side = row["hook"], row["index"], Side(row["polarity"])
        if row["max_activation"]:
            rows[hook, index, side] = row["description"], row["score"]
            maxima.setdefault((hook, side), {})[index] = row["max_activation"]
    found = strongest_units(subject, text, n, layers=layers, maxima=maxima)
    plain = found.plain
    for one, item in zip(found.units, plain["units"], strict=True):
        description, score = rows.get((one.unit.hook, one.unit.index, one.side), (None, None))
        item |= {"hook": one.unit.hook, "layer": one.unit.layer, "index": one.unit.index}
        item |= {"token": found.tokens[one.position], "description": description, "score": score}
    ranked = bool(found.units) and found.units[0].relative is not None
    return {
        "model": subject.name,
        "text": text if isinstance(text, str) else join_tokens(found.tokens),
        "tokenized": isinstance(text, str),
        "ranked_by": "relative" if ranked else "activation",
        **plain,
    }


def with_labels(
    found: dict[str, Any], *, folder: Path | None, client: Client | None
) -> Iterator[TextUnit]:
    """A row for each labelled side of the units, or one for both where a unit has no label."""
    for row in found["units"]:
        unit, values = UnitId.parse(row["unit"]), tuple(row["activations"])
        views = _views(unit, folder, client)
        if not views:
            yield TextUnit(unit, None, values, None, None, None)
        for view in views:
            label = view.label
            text = label.explanation.text if label.explanation is not None else label.reason
            own = tuple(label.side.sign * value + 0.0 for value in values)
            yield TextUnit(unit, label.side, own, view.peak or None, text, label.headline.value)


def _views(unit: UnitId, folder: Path | None, client: Client | None) -> tuple[UnitView, ...]:
    try:
        if client is not None:
            return read_remote_unit(client, str(unit))
        if folder is not None and holds_labels(folder):
            return read_unit(folder, str(unit))
    except InputError:
        pass  # It has no label: what it does can be shown all the same.
    return ()
