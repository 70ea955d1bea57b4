"""What a store of hundreds of thousands of labels costs readers, in a folder and in Valkey.

The same labels lie in both. The API starts twice on each: without an index that an earlier process
kept, and with it. The server is ``autointerp serve``'s API in a process of its own that
has just been started; readers are another process (see `api_reads`). Times on a machine that others
use are theirs too: the server's CPU stands beside each, and the load.
"""

from __future__ import annotations

import argparse
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


def filled(folder: Path, n: int, *, processes: int) -> None:
    """The store in a folder, and what a label takes in it."""
    began = time.perf_counter()
    fill_folder(folder / "labels" / MODEL, many_labels(n, processes=processes))
    took = time.perf_counter() - began
    file = folder / "labels" / MODEL / "scores" / "labels.sqlite"
    print(f"folder: filled in {took:.0f} s, {file.stat().st_size / n:,.0f} bytes a label")


def filled_redis(folder: Path, valkey: Valkey, n: int) -> None:
    """The same labels in Redis, and what one takes there."""
    link = RedisConnection(valkey.url)
    store = RedisLabelStores(link, Artifacts(str(folder / "artifacts")), row_json).of(MODEL)
    before, began = used_bytes(link), time.perf_counter()
    fill_redis(store, folder / "labels" / MODEL)
    took, used = time.perf_counter() - began, used_bytes(link) - before
    print(f"Redis: filled in {took:.0f} s, {used / n:,.0f} bytes a label")
    link.close()


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
    parser.add_argument("--priority", type=int, default=0, help="Of server and readers (root).")
    options = parser.parse_args()
    if options.priority:
        Path("/proc/self/autogroup").write_text(str(options.priority))
    with tempfile.TemporaryDirectory() as place:
        folder = options.keep or Path(place)
        if not (folder / "labels").exists():
            filled(folder, options.labels, processes=options.processes)
        with tempfile.TemporaryDirectory() as data, Valkey(data) as valkey:
            stores = {"json": f"json:{folder / 'labels'}", "redis": valkey.url}
            if options.only != "json":
                filled_redis(folder, valkey, options.labels)
            for name in (options.only,) if options.only else stores:
                print(name)
                with serving(folder / name, valkey.url, stores[name], priority=options.priority):
                    wait_for_index(folder / name)
                print("  started again:")
                with serving(
                    folder / name,
                    valkey.url,
                    stores[name],
                    anew=False,
                    priority=options.priority,
                ) as server:
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


def wait_for_index(folder: Path) -> None:
    """Returns when the server has kept its index for the next start; of few it keeps none."""
    began = time.perf_counter()
    while not list(folder.glob("cache/indexes/*.index")) and time.perf_counter() - began < 120:
        time.sleep(0.2)
    sizes = [file.stat().st_size for file in folder.glob("cache/indexes/*.index")]
    print(f"  index kept {time.perf_counter() - began:.1f} s later, {sum(sizes) / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
