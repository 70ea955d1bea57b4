"""``autointerp`` with a thread that notes every 10 ms what the event loop's thread is doing.

Before the arguments of ``autointerp`` come those of this module: how many bytes of unit pages are
kept; a file for the samples, a line each: the moment, and functions from the innermost out; a file
with a number: so many processes then compute in this process's own session.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import CodeType, FrameType

from autointerp.api.unit_pages import UnitPages
from autointerp.cli.application import main

EVERY_S, DEEPEST, A_BATCH = 0.01, 12, 50
SPIN = ("sh", "-c", "while :; do :; done")


def stack(frame: FrameType | None) -> tuple[CodeType, ...]:
    """What a thread executes, the innermost first."""
    result: list[CodeType] = []
    while frame is not None and len(result) < DEEPEST:
        result.append(frame.f_code)
        frame = frame.f_back
    return tuple(result)


def sample(thread: int, samples: Path, busy: Path) -> None:
    """Goes on for as long as the process lives."""
    spinning: list[subprocess.Popen[bytes]] = []
    with samples.open("a") as file:
        while True:
            seen = []
            for _ in range(A_BATCH):
                time.sleep(EVERY_S)
                seen.append((time.perf_counter(), stack(sys._current_frames().get(thread))))
            for t, codes in seen:
                names = [f"{Path(code.co_filename).stem}.{code.co_name}" for code in codes]
                file.write(json.dumps([t, names]) + "\n")
            file.flush()
            wanted = int(busy.read_text() or 0) if busy.exists() else 0
            while len(spinning) < wanted:
                spinning.append(subprocess.Popen(SPIN))
            while len(spinning) > wanted:
                process = spinning.pop()
                process.kill()
                process.wait()


if __name__ == "__main__":
    kept, samples, busy = sys.argv[1:4]
    del sys.argv[1:4]
    (UnitPages.__init__.__kwdefaults__ or {})["most_bytes"] = int(kept)
    threading.Thread(
        target=sample, args=(threading.get_ident(), Path(samples), Path(busy)), daemon=True
    ).start()
    main()
