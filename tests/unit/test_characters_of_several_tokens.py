"""What people and LLMs read of text whose characters are several tokens each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from factories import make_record
from tiny import tiny_subject, write_texts

import autointerp as ai
from autointerp.activations import live_activations
from autointerp.cli.rendering.token_colours import Colours, TokenPainter
from autointerp.core.ids import Side
from autointerp.explainers.excerpts import Extent, render_pairs
from autointerp.explainers.marked_tokens import render_marked
from autointerp.explainers.token_activation import render_words
from autointerp.llm import ScriptedModel
from autointerp.programs import parse_program
from autointerp.scorers.detection import text_of
from autointerp.scorers.fuzzing import mark_tokens

RECORD = replace(
    make_record(0, (0.0, 1.0, 4.0, 2.0, 0.0), "top"),
    tokens=(" old", "\\xe6", "\\xb0", "\\xb4", " end"),
)


def test_explainers_are_shown_whole_characters_with_the_greatest_level_of_their_tokens() -> None:
    shown = render_pairs([RECORD], Side.POSITIVE, 4.0)
    assert shown == 'Excerpt 1: " old\u6c34 end"\nActive: "\u6c34" 10'
    assert render_marked([RECORD], Side.POSITIVE, Extent(1)) == 'Excerpt 1: " old<<\u6c34>> end"'
    assert render_words([RECORD], Side.POSITIVE) == "old\u6c34"


def test_an_excerpt_is_never_cut_inside_a_character() -> None:
    narrow = render_pairs([RECORD], Side.POSITIVE, 4.0, Extent(1, before=0, after=0))
    assert narrow == 'Excerpt 1: "\u6c34"\nActive: "\u6c34" 10'


def test_judges_are_shown_whole_characters_and_a_mark_holds_all_of_one() -> None:
    assert text_of(RECORD) == '" old\u6c34 end"'
    assert mark_tokens(RECORD.tokens, {2}, ("<<", ">>")) == " old<<\u6c34>> end"


def test_programs_know_a_character_by_itself_by_its_bytes_and_by_its_text() -> None:
    def levels(rule: str) -> tuple[float, ...]:
        return parse_program(f"1: {rule}").levels(RECORD.tokens)

    assert levels('token = "\u6c34"') == (0, 1, 1, 1, 0)
    assert levels('token = "\\\\xb0"') == (0, 0, 1, 0, 0)
    assert levels("token ~ /\\W|\u6c34/") == (0, 1, 1, 1, 0)
    assert levels('previous = "\u6c34"') == (0, 0, 0, 0, 1)
    assert levels('previous = " old"') == (0, 1, 1, 1, 0)
    assert levels("before ~ /old\u6c34$/") == (0, 1, 1, 1, 0)


def test_the_terminal_paints_whole_characters() -> None:
    painted = TokenPainter(4.0, Colours.NONE).paint(RECORD.tokens, RECORD.activations)
    assert painted.plain == " old\u6c34(10) end"


TEXT = "caf\u00e9 \u6c34\u306f \U0001f600 the river"


def test_live_activations_have_one_distinct_string_a_token() -> None:
    [live] = live_activations(tiny_subject(), TEXT, units="0:0")
    assert len(live.tokens) == len(live.token_ids)
    assert not any("\ufffd" in token for token in live.tokens)
    assert live.tokens[3:5] == ("\\xc3", "\\xa9")


def test_a_label_of_a_real_run_holds_no_replacement_character(tmp_path: Path) -> None:
    texts = [f"{i} \u6c34\u306f\u9759\u304b\u306b caf\u00e9 river stones " * 4 for i in range(60)]
    subject = tiny_subject()
    corpus = ai.load_corpus(str(write_texts(tmp_path, texts)), subject, n_tokens=6000, n_ctx=24)
    model = ScriptedModel(lambda _: "water")
    labels = ai.label(subject, units="0:0-2", corpus=corpus, llm=model)
    prompts = ["".join(m.content for m in request.messages) for request in model.requests]
    assert "\ufffd" not in repr(labels)
    assert not any("\ufffd" in prompt for prompt in prompts)
    # Bars stand between the tokens of a word.
    assert any("\u6c34\u306f\u9759" in prompt.replace("|", "") for prompt in prompts)
