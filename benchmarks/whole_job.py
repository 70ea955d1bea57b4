"""One labelling job, from the start to the finished dictionary: clock, CPU, memory, disk by stage.

The command runs in a process of its own and is looked at once a second: `VmHWM` (peak memory,
mapped files counted), `RssAnon` (its own memory), the bytes and files below the output folder.
What stands after `--` goes to `autointerp label`:

    python benchmarks/whole_job.py --out /tmp/whole -- smollm2-135m --units all --llm none
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def _status(pid: int, *names: str) -> dict[str, float]:
    """MiB of the named lines of a process' status; empty when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) / 1024 for name in names if name in fields}


def _folder(path: Path) -> tuple[float, int]:
    """MB and number of the files below a folder that is being written."""
    size, count = 0, 0
    for root, _, names in os.walk(path):
        for name in names:
            try:
                size += os.stat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                continue
            count += 1
    return size / 1e6, count


def main() -> None:
    """Runs the job and prints what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("label", nargs="+", help="what `autointerp label` is given")
    given = parser.parse_args()
    command = [str(Path(sys.executable).parent / "autointerp"), "label", *given.label]
    log = given.out.with_suffix(".log")
    start = time.monotonic()
    peak: dict[str, float] = {}
    disk, stages, last = 0.0, [], ""
    with log.open("w") as stderr:
        running = subprocess.Popen([*command, "--out", str(given.out)], stderr=stderr)
        while running.poll() is None:
            for name, value in _status(running.pid, "VmHWM", "RssAnon").items():
                peak[name] = max(peak.get(name, 0.0), value)
            disk = max(disk, _folder(given.out)[0])
            told = log.read_text().splitlines()
            if told and told[-1].split(":")[0] != last:
                last = told[-1].split(":")[0]
                stages.append((round(time.monotonic() - start), last, round(peak["VmHWM"])))
            time.sleep(1.0)
    clock = time.monotonic() - start
    used = os.times()
    size, files = _folder(given.out)
    result = {
        "exit": running.returncode,
        "clock_min": round(clock / 60, 2),
        "cpu_min": round((used.children_user + used.children_system) / 60, 2),
        "peak_mb": {name: round(value * 1.048576) for name, value in peak.items()},
        "disk_at_most_mb": round(disk),
        "dictionary_mb": round(size),
        "files": files,
        "stages": stages,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
