"""``autointerp match``."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
from command_line import Cli
from rich.console import Console
from tiny import tiny_gpt2, tiny_texts, tiny_tokenizer, write_texts

from autointerp.cli.rendering.match_table import print_matches
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.progress import SilentProgress
from autointerp.core.unit_matches import MatchReport, UnitMatch
from autointerp.subjects import SubjectModel
from autointerp.wiring.match_runs import match_units


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    tiny_gpt2().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"), tiny_texts(60, n_words=40))


def test_two_layers_of_a_model_are_compared(cli: Cli, model: Path, texts: Path) -> None:
    words = ["match", str(model), str(model), "--units", "0:0-9", "--other-units", "layer:1"]
    ended = cli(*words, "--corpus", str(texts), "--tokens", "2000", "--n-ctx", "16", "--json")
    assert ended.code == 0
    report = json.loads(ended.out)
    assert [one["unit"]["index"] for one in report["of_first"]] == list(range(10))
    assert len(report["of_second"]) == 64
    assert report["n_chosen_tokens"] + report["n_tested_tokens"] < 2000 + 16
    assert all(-1 <= one["correlation"] <= 1 for one in report["of_first"])


def test_a_model_that_is_named_twice_is_in_memory_once(model: Path, texts: Path) -> None:
    class Counting(SilentProgress):
        n_models = 0

        def start(self, stage: str, total: int, unit: str) -> None:
            known = (one for one in gc.get_objects() if type(one) is SubjectModel)
            # Another test's may still be there.
            named = [one for one in known if one.name == model.name and id(one) not in before]
            self.n_models = max(self.n_models, len(named))

    gc.collect()
    before = {id(one) for one in gc.get_objects() if type(one) is SubjectModel}
    progress = Counting()
    given = {"units": "0:0-9", "other_units": "1:0-9", "corpus": str(texts), "n_ctx": 16}
    match_units(str(model), str(model), **given, tokens=2000, progress=progress)  # type: ignore[arg-type]
    assert progress.n_models == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "which units? Add --units, for example --units layer:5"),
        (("--units", "layer:0"), "was to be compared with itself"),
        (("--units", "layer:0", "--other-units", "layer:7"), "has layers 0 to 1"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(
    cli: Cli, model: Path, more: tuple[str, ...], message: str
) -> None:
    ended = cli("match", str(model), str(model), *more)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(("field", "value"), [("n_ctx", 9999), ("tokens", 0), ("several", 0)])
def test_a_number_that_cannot_be_is_named(model: Path, field: str, value: int) -> None:
    with pytest.raises(InputError, match=field.removeprefix("n_")):
        match_units(str(model), str(model), units="0:1", other_units="1:1", **{field: value})


def test_without_intervals_no_units_are_counted_as_alike(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own, other = (UnitId(name, "blocks.3.mlp.hook_post", 0) for name in ("one", "two"))
    found = (UnitMatch(own, other, 0.9, None, None, 0.1, True, 0.8, 0.8),)
    report = MatchReport("one", "two", "wiki", 400, 300, 12, 8, found, found)
    print_matches(report, Console(width=200, highlight=False, no_color=True))
    text = capsys.readouterr().out
    assert "Of 1 unit of layer 3 of one, 1 is also the best of its match in layer 3 of" in text
    assert "beyond 0.5" not in text


def test_two_hook_points_of_one_layer_are_told_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own, other = (UnitId("a", f"blocks.0.mlp.{kind}", 1) for kind in ("hook_pre", "hook_post"))
    there = (UnitMatch(own, other, 0.9, None, None, 0.1, True, 0.8, 0.8),)
    back = (UnitMatch(other, own, 0.9, None, None, 0.1, True, 0.8, 0.8),)
    report = MatchReport("a", "a", "wiki", 400, 300, 12, 8, there, back)
    print_matches(report, Console(width=200, highlight=False, no_color=True))
    text = capsys.readouterr().out
    assert "Of 1 unit of blocks.0.mlp.hook_pre of a, 1 is also" in text
    assert "match in blocks.0.mlp.hook_post of a." in text


@pytest.mark.parametrize("width", [60, 80, 160])
def test_lines_fit_and_name_what_was_found(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    def match(index: int, correlation: float | None) -> UnitMatch:
        unit = UnitId("one", "blocks.3.mlp.hook_post", index)
        if correlation is None:
            return UnitMatch(unit, None, None, None, None, None, False, None, None)
        other = UnitId("two", "blocks.4.mlp.hook_post", index + 1)
        ends = sorted((correlation - 0.05, correlation + 0.05))
        return UnitMatch(unit, other, correlation, *ends, 0.02, True, correlation**2, 0.9)

    matches = (match(7, 0.4), match(2, -0.8), match(5, None))
    report = MatchReport("one", "two", "wiki", 4000, 3000, 20, 8, matches, matches[:1])
    print_matches(report, Console(width=width, highlight=False, no_color=True))
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width for line in lines)
    text = " ".join(" ".join(lines).split())
    assert "Of 2 units of layer 3 of one, 1 has one in layer 3 of two" in text
    rows = [line.split() for line in lines if line.startswith("3:")]
    assert [row[:2] for row in rows] == [["3:2", "4:3"], ["3:7", "4:8"]]
    assert ("95 % interval" in text.split("matches are chosen")[0].split("most alike")[1]) == (
        width == 160
    )
