"""Texts whose tokens somebody has labelled, from files or as they are given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.corpora.document_files import decode, readable

LEAST_TEXTS = 12
"""Fewer cannot be split by document into texts to train, to choose and to test on."""
_FORMS = (
    'write {"text": "...", "label": 1}, {"text": "...", "spans": [[0, 4]]} or '
    '{"tokens": ["A", " cat"], "labels": [0, 1]} per line'
)
_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Example:
    """One text with labels."""

    text: str
    where: str
    """File and 1-based line."""
    positive: tuple[_Span, ...] = ()
    """Ranges of characters that carry the feature."""
    ignored: tuple[_Span, ...] = ()
    """Ranges of characters that have no class."""
    whole: bool | None = None
    """Whether all of the text carries it; None where ranges say what does."""

    @property
    def has_positive(self) -> bool:
        """Whether any of it carries the feature."""
        return bool(self.positive) if self.whole is None else self.whole

    @property
    def has_negative(self) -> bool:
        """Whether any of it does not."""
        if self.whole is not None:
            return not self.whole
        covered = {i for span in (*self.positive, *self.ignored) for i in range(*span)}
        return any(i not in covered for i, c in enumerate(self.text) if not c.isspace())


def read_examples(positive: Path, negative: Path) -> tuple[Example, ...]:
    """Whole texts of two files, one a line or JSON lines with the field ``text``.

    Raises:
        InputError: a file cannot be read or is empty, or a text stands in both.
    """
    examples = [
        Example(text, where, whole=value)
        for path, value in ((positive, True), (negative, False))
        for text, where in _texts(path)
    ]
    return _checked(examples, f"{positive} and {negative}")


def read_dataset(path: Path) -> tuple[Example, ...]:
    """Texts of a JSON lines file, each labelled as a whole, by spans of characters, or by token.

    Raises:
        InputError: a line is malformed, has labels outside its text, or all are of one class.
    """
    examples = [_example(_json(line, where), where) for line, where in _lines(path)]
    return _checked(examples, str(path))


def given_texts(positive: Sequence[str], negative: Sequence[str]) -> tuple[Example, ...]:
    """Whole texts of both classes.

    Raises:
        InputError: there are too few, of one class only, or one is in both.
    """
    examples = [
        Example(text, f"{name} text {number}", whole=value)
        for name, texts, value in (("positive", positive, True), ("negative", negative, False))
        for number, text in enumerate(texts, start=1)
    ]
    return _without_doubt(_checked(examples, "the texts given"))


def given_examples(values: Sequence[Mapping[str, Any]]) -> tuple[Example, ...]:
    """Texts with labels, each as a line of `read_dataset` is.

    Raises:
        InputError: one is malformed, has labels outside its text, or all are of one class.
    """
    examples = [_example(value, f"example {n}") for n, value in enumerate(values, start=1)]
    return _without_doubt(_checked(examples, "the examples given"))


def refuse_other_labels(one: Example, other: Example) -> None:
    """Nothing, where both are labelled in the same way.

    Raises:
        InputError: they are not, and their text is the same.
    """

    def what(example: Example) -> object:
        return (example.positive, example.ignored, example.whole)

    if what(one) != what(other):
        raise InputError(
            f"{other.where} and {one.where} are the same text with other labels; keep one of them"
        )


def _without_doubt(examples: tuple[Example, ...]) -> tuple[Example, ...]:
    first: dict[str, Example] = {}
    for one in examples:
        refuse_other_labels(first.setdefault(one.text.strip(), one), one)
    return examples


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    if not path.exists():
        raise InputError(f"the file {shortened(str(path), most=300)} does not exist")
    with readable(path):
        text = decode(path.read_bytes(), str(path)).removeprefix("\ufeff")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield line.rstrip("\r"), f"{path}, line {number}"


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    is_json = path.suffix == ".jsonl"
    for line, where in _lines(path):
        if not is_json:
            yield line, where
            continue
        value = _json(line, where)
        text = value.get("text") if isinstance(value, dict) else value
        if not isinstance(text, str):
            raise InputError(f'{where} has no text; write one {{"text": "..."}} per line')
        yield text, where


def _json(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON ({error}); {_FORMS}") from error


def _example(value: Any, where: str) -> Example:
    if not isinstance(value, dict):
        raise InputError(f"{where} is not an object; {_FORMS}")
    if "tokens" in value:
        return _of_tokens(value, where)
    text = value.get("text")
    if not isinstance(text, str):
        raise InputError(f"{where} has no text; {_FORMS}")
    if "spans" in value:
        spans = {name: _spans(value.get(name, []), text, where) for name in ("spans", "ignore")}
        return Example(text, where, positive=spans["spans"], ignored=spans["ignore"])
    label = value.get("label")
    if label not in (0, 1):
        found = f"the label {shortened(str(label))}" if "label" in value else "no label"
        raise InputError(f"{where} has {found}, not 0 or 1; {_FORMS}")
    return Example(text, where, whole=bool(label))


def _spans(given: Any, text: str, where: str) -> tuple[_Span, ...]:
    if not isinstance(given, list):
        raise InputError(f"{where}: spans are not a list; {_FORMS}")
    result = []
    for span in given:
        is_pair = isinstance(span, list) and len(span) == 2
        if not is_pair or not all(type(end) is int for end in span):
            raise InputError(
                f"{where}: the span {shortened(str(span))} is not [first character, one past the "
                "last]"
            )
        start, end = span
        if not 0 <= start < end <= len(text):
            raise InputError(
                f"{where}: the span [{start}, {end}] is not within the text, which has the "
                f"characters 0 to {len(text)}"
            )
        result.append((start, end))
    return tuple(result)


def _of_tokens(value: Mapping[str, Any], where: str) -> Example:
    tokens, labels = value["tokens"], value.get("labels")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise InputError(f"{where}: tokens are not a list of strings; {_FORMS}")
    if not isinstance(labels, list) or len(labels) != len(tokens):
        n = len(labels) if isinstance(labels, list) else "no"
        raise InputError(f"{where} has {len(tokens)} tokens and {n} labels; give each token one")
    positive: list[_Span] = []
    ignored: list[_Span] = []
    end = 0
    for token, label in zip(tokens, labels, strict=True):
        start, end = end, end + len(token)
        if label not in (0, 1, None):
            raise InputError(f"{where}: the label {shortened(str(label))} is not 0, 1 or null")
        if end > start and label != 0:
            (ignored if label is None else positive).append((start, end))
    return Example("".join(tokens), where, positive=tuple(positive), ignored=tuple(ignored))


def _checked(examples: Sequence[Example], files: str) -> tuple[Example, ...]:
    kept = [one for one in examples if one.text.strip()]
    n_different = len({one.text for one in kept})
    if n_different < LEAST_TEXTS:
        are_few = len(kept) < LEAST_TEXTS
        found = f"{len(kept)} texts" if are_few else f"{n_different} different texts"
        raise InputError(
            f"{files}: {found}, and at least {LEAST_TEXTS} are needed: what is learned on some is "
            "tested on others; give more, or one line for each part of a long one"
        )
    for which, there in (
        ("positive", any(one.has_positive for one in kept)),
        ("negative", any(one.has_negative for one in kept)),
    ):
        if not there:
            raise InputError(
                f"nothing in {files} is {which}, so that there is one class only; label some "
                f"{which} text too"
            )
    return tuple(kept)
