"""Whether the table in README.md is what `make demo` prints on this machine.

`make demo` calls it on the run that it made. `--update` puts the run's table into README.md. Words
must be the same and numbers within `TOLERANCE`; what differs is said and is no error, unless with
`--strict`.
"""

from __future__ import annotations

import re
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console

from autointerp.cli.rendering.result_tables import result_tables
from autointerp.dictionary import open_dictionary

README = Path(__file__).parents[1] / "README.md"
WIDTH = 100
TOLERANCE = 0.02
"""Most by which a number may differ: scores are printed with two digits."""
_BLOCK = re.compile(r"(<!-- printed by make demo -->\n```\n)(.*?)(```\n)", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w\"])-?\d+\.\d+%?(?![\w\"])")


def printed(folder: Path) -> str:
    """The table of a run's labels as a terminal of `WIDTH` columns shows it."""
    text = StringIO()
    console = Console(file=text, width=WIDTH, color_system=None)
    for part in result_tables(list(open_dictionary(folder).labels()), width=WIDTH):
        console.print(part)
    lines = text.getvalue().splitlines()
    return "".join(line.rstrip() + "\n" for line in lines)


def in_readme(text: str) -> str:
    """The table in the text of README.md."""
    [(_, table, _)] = _BLOCK.findall(text)
    return str(table)


def differences(told: str, found: str) -> list[str]:
    """One sentence for each line that differs by words, or by more than the tolerance."""
    before, after = told.splitlines(), found.splitlines()
    if len(before) != len(after):
        return [f"the table has {len(after)} lines, that in README.md {len(before)}"]
    return [
        f"{one.strip()!r} in README.md is {other.strip()!r} here"
        for one, other in zip(before, after, strict=True)
        if _words(one) != _words(other) or _distance(one, other) > TOLERANCE
    ]


def _words(line: str) -> list[str]:
    return _NUMBER.sub("#", line).split()


def _distance(one: str, other: str) -> float:
    pairs = zip(_numbers(one), _numbers(other), strict=True)
    # Two digits as floats differ in their last bits.
    return round(max((abs(a - b) for a, b in pairs), default=0.0), 6)


def _numbers(line: str) -> list[float]:
    """Its numbers; a share in percent as a share, whose digits count as those of scores do."""
    texts = _NUMBER.findall(line)
    return [float(t[:-1]) / 100 if t.endswith("%") else float(t) for t in texts]


def main(folder: str, *options: str) -> int:
    """Compares, or updates; the exit code."""
    text, found = README.read_text(), printed(Path(folder))
    if "--update" in options:
        README.write_text(_BLOCK.sub(lambda block: block[1] + found + block[3], text))
        return 0
    told = differences(in_readme(text), found)
    if not told:
        print(f"The table above is that of README.md, with numbers within {TOLERANCE}.")  # noqa: T201
        return 0
    print("The table above differs from that of README.md:", *told, sep="\n  ")  # noqa: T201
    return int("--strict" in options)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
