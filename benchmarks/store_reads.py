"""How long readers wait for one label, a page of 50 and a search by words, many at once.

The same labels lie in a folder and in a Valkey server started for it. Readers are
tasks of an event loop whose questions are answered by threads, as in the API; each asks again as
soon as it was answered, so that as many requests as readers are always open.
One reader alone is the comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from autointerp.core.explanations import Explanation, Label, LabelStatus, Provenance
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import NeuronStats
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.dictionary import row_json
from autointerp.serving import Valkey
from autointerp.store.artifacts import Artifacts
from autointerp.store.labels import FolderLabelStore, LabelStore
from autointerp.store.labels.redis_store import RedisLabelStores
from autointerp.store.redis_connection import RedisConnection
from autointerp.store.search.label_index import LabelIndex, LabelQuery

MODEL = "smollm2-135m"
WIDTH = 1536
N_WORDS, N_TRIALS = 8000, 12
N_THREADS = 40
PROVENANCE = Provenance(
    package_version="0",
    subject=MODEL,
    subject_revision="0123456789abcdef",
    dtype="float32",
    tokenizer="bpe",
    corpus="wiki",
    corpus_hash="0" * 16,
    n_tokens=65_536,
    n_ctx=64,
    seed=0,
    split_hash="0" * 16,
    collect_hash="0" * 16,
    explainer_model="a",
    scorer_model="a",
    prompts=(),
)
STATS = NeuronStats(
    n_tokens=4096,
    n_windows=64,
    mean=0.01,
    variance=0.5,
    minimum=-2.0,
    maximum=4.0,
    density=0.05,
    window_density=0.2,
    histogram=(10, 4000, 86),
    bin_edges=(-2.5, -0.5, 0.5, 4.5),
    quantiles=((0.25, 0.5), (0.9, 3.0)),
)


def make_words(n: int) -> list[str]:
    """Words as frequent as in a language: the first ones are in most descriptions."""
    draw = random.Random(0)
    return [
        "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(n)
    ]


def draw_words(draw: random.Random, words: list[str], k: int) -> list[str]:
    """Words by Zipf's law."""
    return [words[min(len(words), int(len(words) ** draw.random())) - 1] for _ in range(k)]


def unit_of(number: int) -> UnitId:
    """The number-th neuron."""
    return UnitId(MODEL, f"blocks.{number // WIDTH}.mlp.hook_post", number % WIDTH)


def make_labels(n: int, words: list[str]) -> Iterator[Label]:
    """Labels of about the size of real ones."""
    draw = random.Random(1)
    for number in range(n):
        text = " ".join(draw_words(draw, words, 9))
        explanation = Explanation(text, "token_activation", "a", None, 0.0, 0)
        value = draw.uniform(-0.2, 0.9)
        score = Score("population", value, value - 0.1, value + 0.1, N_TRIALS, None)
        trials = tuple(
            Trial(i, "top", 2.5, tuple(draw.choices((0.0, 0.0, 3.0), k=16)), None, None, None)
            for i in range(N_TRIALS)
        )
        yield Label(
            unit=unit_of(number),
            side=Side.POSITIVE,
            status=LabelStatus.OK,
            reason=None,
            explanation=explanation,
            candidates=(),
            results=(ScorerResult("simulation", text, (score,), trials),),
            preferred="simulation",
            stats=STATS,
            top_tokens=tuple(" " + word for word in draw_words(draw, words, 10)),
            provenance=PROVENANCE,
        )


def filled_folder(folder: Path, n: int, words: list[str]) -> FolderLabelStore:
    """The store in a folder; what is measured is reading, so puts are written some at a time."""
    store = FolderLabelStore(folder, row_json)
    with store.batch():
        for label in make_labels(n, words):
            store.put_label(label)
    return store


def filled_server(server: Valkey, folder: Path, n: int, words: list[str]) -> LabelStore:
    """The store in Redis."""
    link = RedisConnection(server.url)
    store = RedisLabelStores(link, Artifacts(str(folder)), row_json).of(MODEL)
    start = time.perf_counter()
    for label in make_labels(n, words):
        store.put_label(label)
    print(f"  filling Redis: {1e6 * (time.perf_counter() - start) / n:.0f} us a label")
    return store


def measure(ask: Callable[[random.Random], object], readers: int, seconds: float) -> list[float]:
    """Milliseconds of every request of all readers, sorted."""
    return sorted(asyncio.run(_measure(ask, readers, seconds)))


async def _measure(
    ask: Callable[[random.Random], object], readers: int, seconds: float
) -> list[float]:
    loop, found = asyncio.get_running_loop(), list[float]()
    until = time.perf_counter() + seconds

    async def read(seed: int) -> None:
        draw = random.Random(seed)
        while (start := time.perf_counter()) < until:
            await loop.run_in_executor(pool, ask, draw)
            found.append(1000 * (time.perf_counter() - start))

    with ThreadPoolExecutor(N_THREADS) as pool:
        await asyncio.gather(*(read(seed) for seed in range(readers)))
    return found


def p(found: list[float], share: float) -> float:
    """A percentile of sorted times."""
    return found[min(len(found) - 1, int(share * len(found)))]


def questions(
    store: LabelStore, n: int, words: list[str]
) -> dict[str, Callable[[random.Random], object]]:
    """What readers ask."""
    start = time.perf_counter()
    index = LabelIndex(store)
    index.refresh()
    print(f"  index of {len(index):,} labels: {time.perf_counter() - start:.2f} s")
    n_layers = max(1, n // WIDTH)

    def one(draw: random.Random) -> object:
        return store.get_label(unit_of(draw.randrange(n)), Side.POSITIVE)

    def page(draw: random.Random) -> object:
        sort = draw.choice(("unit", "-score"))
        query = LabelQuery(layer=draw.randrange(n_layers), score_min=0.3, sort=sort)  # type: ignore[arg-type]
        return b",".join(index.page(query).rows)

    def search(draw: random.Random) -> object:
        text = " ".join(draw_words(draw, words, draw.randint(1, 3)))
        return b",".join(index.page(LabelQuery(words=text)).rows)

    return {"one label": one, "page of 50": page, "words": search}


def report(
    name: str, store: LabelStore, n: int, words: list[str], *, readers: int, seconds: float
) -> None:
    """Prints a line a question."""
    print(name)
    for what, ask in questions(store, n, words).items():
        alone, many = measure(ask, 1, seconds / 2), measure(ask, readers, seconds)
        rate = len(many) / seconds
        print(
            f"  {what:10}  1 reader p50 {p(alone, 0.5):6.2f} p99 {p(alone, 0.99):6.2f} ms   "
            f"{readers} readers p50 {p(many, 0.5):6.2f} p99 {p(many, 0.99):6.2f} "
            f"mean {statistics.fmean(many):6.2f} ms, {rate:,.0f}/s"
        )


def main() -> None:
    """Prints both stores side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=46_080)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    words = make_words(N_WORDS)
    measured = {"readers": options.readers, "seconds": options.seconds}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = filled_folder(folder / "json", options.labels, words)
        report("JSON files", files, options.labels, words, **measured)
        with Valkey(folder / "valkey") as server:
            redis = filled_server(server, folder / "artifacts", options.labels, words)
            report("Redis", redis, options.labels, words, **measured)


if __name__ == "__main__":
    main()
