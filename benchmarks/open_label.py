"""What it costs to read one label with its records in a fresh process, and again in the same one.

Each figure is of a process of its own, from before the interpreter starts until it has ended; the
interpreter alone is the comparison. Modules are compiled once beforehand, as where the package is
installed, whatever PYTHONDONTWRITEBYTECODE says; one row is of a process that compiles every one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import autointerp

EXAMPLE = Path(autointerp.__file__).parent / "examples" / "smollm2-135m"
PROGRAM = """
import json, sys, time
from autointerp import open_dictionary
dictionary = open_dictionary(sys.argv[1])
def read(text):
    began = time.perf_counter(), time.process_time()
    for label in dictionary.find(text):
        assert dictionary.records(label.unit, label.side) is not None
    return [1000 * (time.perf_counter() - began[0]), 1000 * (time.process_time() - began[1])]
first = read(sys.argv[2])
assert "torch" not in sys.modules
print(json.dumps([read(text) for text in sys.argv[3:]]))
"""


def fresh(*arguments: str, compiled: str | None) -> tuple[float, float, str]:
    """Milliseconds and milliseconds of CPU of a process, and what it printed."""
    left_out = {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    # Without a place for them every module is compiled again, as in a tree that cannot be written.
    place = {"PYTHONPYCACHEPREFIX": compiled} if compiled else {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", *arguments]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(
        command, env=environment | place, capture_output=True, text=True, check=True
    )
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * took, 1000 * cpu, ended.stdout


def measured(options: argparse.Namespace, compiled: str) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds and milliseconds of CPU of each row, in turn."""
    rows = defaultdict[str, list[tuple[float, float]]](list)
    for _ in range(options.repeats):
        for name, place in (("", compiled), (", all compiled", None)):
            rows[f"interpreter{name}"].append(fresh("pass", compiled=place)[:2])
            took, cpu, said = fresh(PROGRAM, options.folder, *options.units, compiled=place)
            warm = json.loads(said)
            # What was read again is not of the first.
            rows[f"one label{name}"].append(
                (took - sum(each[0] for each in warm), cpu - sum(each[1] for each in warm))
            )
            rows["warm"] += [(each[0], each[1]) for each in warm]
    return rows


def main() -> None:
    """Prints medians, and the least."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=str(EXAMPLE))
    parser.add_argument("units", nargs="*", default=["1:402", "8:1339", "19:533", "27:933"])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as compiled:
        fresh(PROGRAM, options.folder, *options.units, compiled=compiled)
        rows = measured(options, compiled)
    print(f"load {os.getloadavg()[0]:.1f}; milliseconds, median (least)")
    for name, found in rows.items():
        wall, cpu_ms = (sorted(column) for column in zip(*found, strict=True))
        print(
            f"  {name:22} {statistics.median(wall):6.1f} ({wall[0]:.1f})   "
            f"CPU {statistics.median(cpu_ms):6.1f} ({cpu_ms[0]:.1f})"
        )


if __name__ == "__main__":
    main()
