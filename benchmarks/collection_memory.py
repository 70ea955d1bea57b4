"""Whether the memory of a collection grows with the number of tokens.

A GPT-2 of 6 layers and width 256 with random weights, all neurons, random text; each size in a
process of its own.
"""

from __future__ import annotations

import argparse

from _parts import header, in_another_process, peak_mib, random_gpt2, random_text

from autointerp.activations import collect
from autointerp.subjects import all_neurons

SIZES = (64_000, 256_000, 1_000_000)


def measure(n_tokens: int) -> None:
    """Prints this process's peak resident MiB after collecting."""
    subject = random_gpt2()
    collect(subject, random_text(n_tokens), units=all_neurons(subject))
    print(peak_mib())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    print(header(), "\n")
    print(f"{'tokens':>12} {'peak MiB':>10} {'ratio':>7}")
    peaks: list[float] = []
    for n_tokens in SIZES:
        peaks.append(in_another_process(__file__, "--measure", str(n_tokens)))
        print(f"{n_tokens:12,} {peaks[-1]:10,.0f} {peaks[-1] / peaks[0]:7.3f}", flush=True)


if __name__ == "__main__":
    main()
