"""What a label without an LLM costs in CPU time, from the collected summary to the store.

Takes the folder of a finished run, whose summary and records are read before anything is measured,
or makes one of 64 neurons in minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import cast

from autointerp.activations import Summary
from autointerp.activations.summary_storage import load_summary
from autointerp.cli import run
from autointerp.core.config import JobSpec
from autointerp.core.explanations import Label, Provenance
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.core.garbage import search_for_garbage_less
from autointerp.core.progress import SilentProgress
from autointerp.core.records import UnitSets
from autointerp.core.text import TextTokenizer
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.jobs.chunk import ChunkLabels
from autointerp.jobs.unit_inputs import Target, UnitRecords, unit_reader
from autointerp.settings import Settings
from autointerp.store.labels import FolderLabelStore, UnitStore
from autointerp.subjects import gguf_tokenizer
from autointerp.wiring.tools import build_tools

_RUN = ["label", "smollm2-135m", "--units", "5:0-63", "--corpus", "wiki"]
_RUN += ["--tokens", "32768", "--llm", "none"]


@dataclass(frozen=True)
class Read:
    """What labels are made of."""

    spec: JobSpec
    summary: Summary
    corpus: TokenCorpus
    tokenizer: TextTokenizer
    sets: Mapping[Target, UnitSets]
    provenance: Provenance

    @classmethod
    def of(cls, folder: Path) -> Read:
        """Everything of a run without an LLM."""
        spec = JobSpec.model_validate_json((folder / "job.json").read_bytes())
        tokenizer = gguf_tokenizer(SMOLLM2_GGUF.locate(), Settings().cache_dir)
        given = spec.corpus.model_dump(exclude={"corpus"})
        corpus = load_corpus(spec.corpus.corpus, tokenizer, **given)
        store = FolderLabelStore(folder)
        labels = list(store.labels())
        sets = {Target(one.unit, one.side): store.get_sets(one.unit, one.side) for one in labels}
        return cls(
            spec,
            load_summary(folder / "summary" / "summary.safetensors"),
            corpus,
            tokenizer,
            {target: own for target, own in sets.items() if own is not None},
            labels[0].provenance,
        )

    def label(self) -> tuple[dict[str, float], dict[Target, Label]]:
        """CPU seconds by stage, and the labels."""
        spent: defaultdict[str, float] = defaultdict(float)

        @contextmanager
        def stage(name: str) -> Iterator[None]:
            began = time.process_time()
            yield
            spent[name] += time.process_time() - began

        reader = unit_reader(self.summary, self.spec, self.corpus)
        units = []
        for target, sets in self.sets.items():
            with stage("plan"):
                reader.plan(*target)
            with stage("stats"):
                table, stats = reader.token_means(*target), reader.stats(*target)
            read = UnitRecords(target, sets, table, stats)
            units.append((read, read.to_input(self.spec, self.tokenizer, failed=None, probe=None)))
        kept: dict[Target, Label] = {}
        labels = ChunkLabels(
            build_tools(self.spec, None),
            self.provenance,
            cast(UnitStore, _Keeping(kept)),
            SilentProgress(),
            stage,
        )
        with stage("others"):
            asyncio.run(labels.label(units, {}))
        spent["others"] -= spent["explain"] + spent["score"]
        return spent, kept


class _Keeping:
    def __init__(self, kept: dict[Target, Label]) -> None:
        self._kept = kept

    def put_label(self, label: Label) -> None:
        """Keeps it as it is."""
        self._kept[Target(label.unit, label.side)] = label


def main() -> None:
    """Prints milliseconds of CPU a unit by stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="of a run without an LLM")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="show the N costliest")
    arguments = parser.parse_args()
    search_for_garbage_less()
    if arguments.folder is None:
        with tempfile.TemporaryDirectory() as made:
            if run([*_RUN, "--out", made]):
                raise SystemExit("the run that is measured could not be made; see above")
            read = Read.of(Path(made))
    else:
        read = Read.of(arguments.folder)
    _, kept = read.label()
    profiler = cProfile.Profile(time.process_time)
    if arguments.profile:
        profiler.enable()
    rounds = [read.label()[0] for _ in range(arguments.rounds)]
    profiler.disable()
    for stage in rounds[0]:
        each = [1e3 * spent[stage] / len(kept) for spent in rounds]
        print(f"{stage:8} {median(each):6.2f} ms a unit ({min(each):.2f} to {max(each):.2f})")
    if arguments.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(arguments.profile)


if __name__ == "__main__":
    main()
