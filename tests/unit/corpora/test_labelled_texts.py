"""Labels of a person's texts, and of corpora, as classes of tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.text import TextTokenizer
from autointerp.corpora.features import (
    LabelledCorpus,
    label_corpus,
    label_examples,
    read_dataset,
    read_examples,
    regex_feature,
)

_CONFIG = CorpusConfig(corpus="given", n_tokens=100_000, n_ctx=8, explain=0.4, validation=0.2)


def _lines(path: Path, values: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def _text_of(labelled: LabelledCorpus, value: int) -> str:
    """The characters of a class: with this tokenizer each is a token."""
    return "".join(sorted(map(chr, labelled.corpus.tokens[labelled.classes == value].tolist())))


def test_spans_and_tokens_and_whole_texts_are_labelled(
    tmp_path: Path, tokenizer: TextTokenizer
) -> None:
    rows = [{"text": f"{n:02} abcXYZ", "spans": [[6, 9]], "ignore": [[0, 2]]} for n in range(20)]
    spans = label_examples(read_dataset(_lines(tmp_path / "s.jsonl", rows)), _CONFIG, tokenizer)
    assert set(_text_of(spans, 1)) <= set("XYZ")
    assert set(_text_of(spans, 0)) == set(" abc")
    # The third character of the span stands in the next window, which does not see it begin.
    assert set(_text_of(spans, -1)) >= set("0123456789Z")
    rows = [{"tokens": [f"{n:02} a", "bc", "d"], "labels": [0, 1, None]} for n in range(60)]
    tokens = label_examples(read_dataset(_lines(tmp_path / "t.jsonl", rows)), _CONFIG, tokenizer)
    assert set(_text_of(tokens, 1)) == set("bc")
    assert set(_text_of(tokens, -1)) == {"d"}
    rows = [{"text": f"{n:02} text", "label": n % 2} for n in range(60)]
    whole = label_examples(read_dataset(_lines(tmp_path / "w.jsonl", rows)), _CONFIG, tokenizer)
    for window in whole.corpus:
        text = "".join(map(chr, window.token_ids))
        expected = int(text[:2]) % 2 if window.offset == 0 else None
        own = set(whole.classes_of(range(window.id, window.id + 1)).tolist())
        assert expected is None or own == {expected}
    whole.check()


def test_texts_of_two_files_are_the_two_classes(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    positive, negative = tmp_path / "p.txt", tmp_path / "n.jsonl"
    positive.write_text("".join(f"year{n}\n" for n in range(30)))
    _lines(negative, [{"text": f"WORD{n}"} for n in range(30)])
    labelled = label_examples(read_examples(positive, negative), _CONFIG, tokenizer)
    assert set("year") <= set(_text_of(labelled, 1))
    assert set("WORD") <= set(_text_of(labelled, 0))
    held_out = {labelled.corpus[i].document for i in labelled.test}
    assert held_out.isdisjoint(labelled.corpus[i].document for i in labelled.train)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "ab", "spans": [[0, 3]]}], r"line 1: the span \[0, 3\] is not within the text"),
        ([{"text": "ab", "spans": [[1, 1]]}], "is not within the text, which has the characters"),
        ([{"text": "ab", "spans": [[1]]}], "is not .first character, one past the last"),
        ([{"text": "ab", "spans": 3}], "spans are not a list"),
        ([{"text": "ab", "label": 2}], "has the label '2', not 0 or 1"),
        ([{"text": "ab"}], "has no label, not 0 or 1"),
        ([{"tokens": ["a", "b"], "labels": [1]}], "has 2 tokens and 1 labels"),
        ([{"tokens": ["a"], "labels": ["x"]}], "the label 'x' is not 0, 1 or null"),
        ([{"label": 1}], "line 1 has no text"),
        (["text"], "line 1 is not an object"),
        ([{"text": f"a{n}", "label": n % 2} for n in range(3)], "3 texts, and at least 12 are"),
        ([{"text": f"a{n}", "label": 1} for n in range(30)], "nothing in .* is negative"),
        ([{"text": f"a{n}", "spans": []} for n in range(30)], "nothing in .* is positive"),
    ],
)
def test_labels_that_cannot_be_are_a_sentence(
    tmp_path: Path, rows: list[Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_dataset(_lines(tmp_path / "d.jsonl", rows))


def test_a_text_with_two_labels_is_a_sentence(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    rows = [{"text": f"text {n // 2}", "label": n % 2} for n in range(40)]
    examples = read_dataset(_lines(tmp_path / "d.jsonl", rows))
    with pytest.raises(InputError, match="are the same text with other labels"):
        label_examples(examples, _CONFIG, tokenizer)


def test_files_that_cannot_be_read_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_dataset(tmp_path / "none.jsonl")
    (tmp_path / "d.jsonl").write_text("{")
    with pytest.raises(InputError, match="line 1 is not JSON"):
        read_dataset(tmp_path / "d.jsonl")


def test_windows_of_a_corpus_have_the_classes_of_its_documents(
    tokenizer: TextTokenizer, jsonl: Callable[[Sequence[str]], str]
) -> None:
    path = jsonl([f"text {n}: " + "ab12 cd " * 9 for n in range(40)])
    config = CorpusConfig(corpus=path, n_tokens=2000, n_ctx=16)
    labelled = label_corpus(config, regex_feature(r"[0-9]+"), tokenizer)
    assert set(_text_of(labelled, 1)) <= set("0123456789")
    digits = np.isin(labelled.corpus.tokens, [ord(c) for c in "0123456789"])
    known = labelled.classes >= 0
    assert (digits == (labelled.classes == 1))[known].all()
    assert known.mean() > 0.9
    labelled.check()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("QQ", "carried by not one of"),
        (r"(?s).", "carried by every of"),
        ("text 1:", "positive tokens in the documents to"),
    ],
)
def test_one_class_or_next_to_none_is_a_sentence(
    tokenizer: TextTokenizer,
    jsonl: Callable[[Sequence[str]], str],
    pattern: str,
    message: str,
) -> None:
    path = jsonl([f"text {n}: " + "ab cd " * 9 for n in range(40)])
    config = CorpusConfig(corpus=path, n_tokens=2000, n_ctx=16)
    with pytest.raises(InputError, match=message):
        label_corpus(config, regex_feature(pattern), tokenizer).check()


def test_texts_that_were_not_read_are_counted(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    rows = [{"text": f"{n:02} text", "label": n % 2} for n in range(60)]
    examples = read_dataset(_lines(tmp_path / "w.jsonl", rows))
    few = CorpusConfig(corpus="given", n_tokens=280, n_ctx=8, explain=0.4, validation=0.2)
    [note] = label_examples(examples, few, tokenizer).notes
    n_read = -(-280 // len(tokenizer.encode("00 text")))
    assert f"--tokens 280 was reached: {60 - n_read} of 60 texts were not read" in note
    assert label_examples(examples, _CONFIG, tokenizer).notes == ()
