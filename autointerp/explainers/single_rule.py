"""One simple rule that covers a unit's strongest firings, found on some and tried on others.

The families are those that need no reading: a token, a word in any spelling, the end of a word,
a kind of token, the word before, a word within the eight tokens before. A theme is none of them,
so that what is found here is a lower bound of what a person finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autointerp.core.blind_study import MOST_COVERED, Firing
from autointerp.core.text import quoted

_NEAR = 8
MOST_ELSEWHERE = 0.1
"""Share of all tokens at which a rule may hold: one that holds everywhere covers anything."""
_LONGEST = 4
"""Letters of a word's end."""
_FAMILIES = ("token", "word", "end", "kind", "before", "near")
"""The narrowest first: of two rules that cover as much the first is taken."""
Rule = tuple[str, str]
"""(family, what it asks for)."""


@dataclass(frozen=True, slots=True)
class FittedRule:
    """The rule that covers most of the firings that it was found on, beyond what is everywhere."""

    rule: Rule
    covered: float
    """Share of the firings that it was tried on."""
    elsewhere: float
    """Share of the tokens of the text at which it holds too."""

    @property
    def holds(self) -> bool:
        """Whether one rule covers enough of them without covering everything."""
        return self.covered >= MOST_COVERED - 1e-9 and self.elsewhere <= MOST_ELSEWHERE

    @property
    def sentence(self) -> str:
        """The rule in words."""
        family, value = self.rule
        shown = quoted(value)
        return {
            "token": f"the token {shown}",
            "word": f"the word {shown} in any spelling",
            "end": f"words that end in {shown}",
            "kind": value,
            "before": f"behind the word {shown}",
            "near": f"after {shown}, at most {_NEAR} tokens before",
        }[family]

    @property
    def told(self) -> str:
        """The rule in words, and where else it holds."""
        return f"{self.sentence} (at {100 * self.elsewhere:.1f} % of all tokens)"


def fit_rule(
    learned: Sequence[Firing], tried: Sequence[Firing], everywhere: Sequence[Firing]
) -> FittedRule | None:
    """The rule that the first firings show most, and what it covers of the others.

    Args:
        learned: firings that it is found on.
        tried: firings, of other documents, that it is tried on.
        everywhere: tokens drawn from all of the text, each as a firing at its peak.

    None where there are no firings.
    """
    if not learned or not tried or not everywhere:
        return None
    counts = Counter(rule for firing in learned for rule in set(rules_at(firing)))
    wanted = [rule for rule, n in counts.items() if n >= len(learned) / 2]
    common = Counter(
        rule for firing in everywhere for rule in set(rules_at(firing)) if rule in counts
    )
    shares = {rule: common[rule] / len(everywhere) for rule in wanted}
    rare = [rule for rule in wanted if shares[rule] <= MOST_ELSEWHERE] or wanted
    if not rare:
        # Nothing is shared by half of them; what most of them share is told all the same.
        rare = list(counts)
        shares = {rule: common[rule] / len(everywhere) for rule in rare}
    best = min(
        rare, key=lambda rule: (shares[rule] - counts[rule] / len(learned), _place(rule), rule)
    )
    covered = sum(best in set(rules_at(firing)) for firing in tried) / len(tried)
    return FittedRule(best, covered, shares[best])


def _place(rule: Rule) -> int:
    return _FAMILIES.index(rule[0])


def rules_at(firing: Firing) -> Iterator[Rule]:
    """The rules that hold at the peak of a firing."""
    token = firing.tokens[firing.peak]
    word = token.strip().lower()
    yield "token", token
    if word:
        yield "word", word
    whole = _word_to(firing)
    if whole.isalpha():
        for length in range(2, _LONGEST + 1):
            if len(whole) > length:
                yield "end", whole[-length:]
    for kind in _kinds(token):
        yield "kind", kind
    before = [t.strip().lower() for t in firing.tokens[: firing.peak]]
    if before and before[-1]:
        yield "before", before[-1]
    for near in set(before[-_NEAR:]):
        if near:
            yield "near", near


def _word_to(firing: Firing) -> str:
    """The word up to the end of the token, from the last white space on."""
    text = "".join(firing.tokens[: firing.peak + 1]).lower()
    return text.split()[-1] if text.strip() and not text[-1].isspace() else ""


def _kinds(token: str) -> Iterator[str]:
    bare = token.strip()
    if not bare:
        yield "line ends" if "\n" in token else "blanks"
        return
    if any(c.isdigit() for c in bare):
        yield "digits"
    if bare.isalpha() and bare.isupper() and len(bare) > 1:
        yield "capitals"
    elif bare[0].isupper():
        yield "a capital first"
    if not any(c.isalnum() for c in bare):
        yield "punctuation"
    if bare.isalpha() and token[0].isalpha():
        yield "parts within words"
    if not bare.isascii():
        yield "other characters than ASCII"
