from __future__ import annotations

import pytest
from command_line import Cli
from factories import make_label, make_unit

from autointerp.core.explanations import LabelStatus

LABEL = ("label", "--units", "all", "--out", "made")
FIFTH, SIXTH = "blocks.5.mlp.hook_post", "blocks.6.mlp.hook_post"


@pytest.mark.parametrize("width", [40, 200])
def test_more_labels_than_one_reads_are_counted_by_hook_point(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    cli.runner.labels = (
        *(make_label(make_unit(i, hook=FIFTH)) for i in range(150)),
        *(make_label(make_unit(i, hook=SIXTH)) for i in range(60)),
        *(make_label(make_unit(i, hook=SIXTH), status=LabelStatus.DEAD) for i in range(60, 90)),
    )
    ended = cli(*LABEL)
    assert ended.code == 0
    rows = [line.split() for line in ended.out.splitlines()]
    by_hook = {row[0]: row for row in rows if row and row[0].startswith("blocks.")}
    if width > 40:
        assert by_hook[FIFTH] == [FIFTH, "150", "150", "0.42"]
        assert by_hook[SIXTH] == [SIXTH, "90", "60", "0.42"]
    assert "240 labels (210 ok, 30 dead)" in " ".join(ended.out.split())
    assert "next: autointerp show 5:0 --dir" in ended.out
    assert max(map(len, ended.out.split("dictionary: ")[0].splitlines())) <= width


def test_of_many_failures_the_first_are_listed_and_the_others_counted(cli: Cli) -> None:
    failed = LabelStatus.FAILED
    cli.runner.labels = tuple(
        make_label(make_unit(i), status=failed, reason=f"reason {i}") for i in range(230)
    )
    ended = cli(*LABEL)
    assert ended.code == 1
    assert "230 units failed" in ended.err
    assert "reason 199" in ended.err
    assert "reason 200" not in ended.err
    assert "and 30 more" in ended.err
