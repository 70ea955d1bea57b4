"""What a store of hundreds of thousands of labels costs readers, in a folder and in Valkey.

The same labels lie in both. The server is ``autointerp serve``'s API in a process of its own that
has just been started; readers are another process (see `api_reads`). Times on a machine that others
use are theirs too: the server's CPU stands beside each, and the load.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from _http_reader import Asked
from _many_labels import fill_folder, fill_redis, many_labels
from api_reads import report_dictionary, report_reads, serving
from store_reads import MODEL

from autointerp.dictionary import row_json
from autointerp.serving import Valkey
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels.redis_store import RedisLabelStores
from autointerp.store.redis_connection import RedisConnection

WHAT = ("page of 50", "words", "one label")


def used_bytes(link: RedisConnection) -> int:
    """What Redis has in memory."""
    info: Any = link.run(lambda client: client.info("memory"))
    return int(info["used_memory"])


def filled(folder: Path, valkey: Valkey, n: int, *, processes: int) -> None:
    """Both stores, and what a label takes in them."""
    began = time.perf_counter()
    fill_folder(folder / "labels" / MODEL, many_labels(n, processes=processes))
    took = time.perf_counter() - began
    file = folder / "labels" / MODEL / "scores" / "labels.sqlite"
    print(f"folder: filled in {took:.0f} s, {file.stat().st_size / n:,.0f} bytes a label")
    link = RedisConnection(valkey.url)
    store = RedisLabelStores(link, Artifacts(str(folder / "artifacts")), row_json).of(MODEL)
    before, began = used_bytes(link), time.perf_counter()
    fill_redis(store, folder / "labels" / MODEL)
    took, used = time.perf_counter() - began, used_bytes(link) - before
    print(f"Redis: filled in {took:.0f} s, {used / n:,.0f} bytes a label")


def main() -> None:
    """Fills both stores, and reads one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=460_800)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--processes", type=int, default=2, help="That make the labels.")
    parser.add_argument("--only", choices=("json", "redis"))
    parser.add_argument("--formats", nargs="*", default=("parquet",))
    parser.add_argument("--keep", type=Path, help="Folder with the labels, filled where it is not.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = options.keep or Path(place)
        with Valkey(folder / "valkey") as valkey:
            if not (folder / "labels").exists():
                filled(folder, valkey, options.labels, processes=options.processes)
            stores = {"json": f"json:{folder / 'labels'}", "redis": valkey.url}
            for name in (options.only,) if options.only else stores:
                print(f"{name}, load {os.getloadavg()[0]:.1f}")
                with serving(folder / name, valkey.url, stores[name]) as server:
                    print(f"  CPU of the server's start {server.cpu_s:.1f} s")
                    asked = Asked(
                        port=server.port,
                        keys=server.keys,
                        what="mixed",
                        n_labels=options.labels,
                        readers=options.readers,
                        seconds=options.seconds,
                        rate=None,
                    )
                    report_reads(server, asked, WHAT)
                    report_dictionary(server, options.formats)


if __name__ == "__main__":
    main()
