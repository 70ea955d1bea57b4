"""Token lookup: the tokens and bigrams that carry a unit's activation, without any LLM.

The explanation is a sentence and, at the same time, rules that a program can apply; both say
the same. Tokens are taken by how much of the activation's variance over explain text they
account for; bigrams where a token fires only behind another.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from autointerp.core.characters import join_tokens, shown_escapes
from autointerp.core.explanations import Explanation, PromptRef, TokenRule
from autointerp.core.records import ExplainSet, TokenMeans
from autointerp.core.variants import JobLlm
from autointerp.explainers.explainer import Explained, Explainer, ExplainerSpec, ExplainInputs

# More would score a little better (60 tokens: 0.27 where 20 have 0.22, at the median) and be read
# by nobody.
_MAX_TOKENS = 20
_MAX_BIGRAMS = 4
# A mean over few occurrences is drawn towards the overall mean as if by so many more.
_PRIOR_COUNT = 1.0
# A bigram is worth naming when its token fires this many times stronger behind its first.
_BIGRAM_GAIN = 1.5
# And when it reaches this share of the peak.
_BIGRAM_SHARE = 0.3


class TokenLookup(Explainer):
    """Names the tokens and bigrams on which the side is most active."""

    name = "token_lookup"
    prompts: tuple[PromptRef, ...] = ()

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        rules = find_rules(inputs)
        if not rules:
            return Explained((), ("token_lookup: no token is more active than the others",))
        explanation = Explanation(
            text=rules_sentence(rules),
            explainer=self.name,
            model=None,
            prompt=None,
            temperature=None,
            sample=0,
            rules=rules,
        )
        return Explained((explanation,))


def find_rules(inputs: ExplainInputs) -> tuple[TokenRule, ...]:
    """Rules by falling share of what they explain; bigrams come behind single tokens."""
    means = inputs.token_means
    singles = _single_rules(inputs, means)
    bigrams = pair_rules(inputs.records, means)
    return (*(_without(rule, bigrams, inputs.records) for rule in singles), *bigrams)


def _without(rule: TokenRule, bigrams: Sequence[TokenRule], records: ExplainSet) -> TokenRule:
    """The rule of a token for where none of the bigrams ends: those have rules of their own."""
    pairs = {bigram.tokens for bigram in bigrams if bigram.tokens[1:] == rule.tokens}
    everywhere = inside = mass = 0.0
    for record in records.records if pairs else ():
        side = record.side(records.side)
        for i, token in enumerate(record.token_ids):
            if (token,) == rule.tokens:
                everywhere += record.weight
                if record.token_ids[max(0, i - 1) : i + 1] in pairs:
                    inside += record.weight
                    mass += record.weight * side[i]
    if not inside:
        return rule
    # What is known of all its occurrences, less the bigrams' part, in the records' proportions.
    outside = everywhere - inside
    rest = (rule.activation * everywhere - mass) / outside if outside else 0.0
    return replace(rule, activation=min(rule.activation, max(0.0, rest)))


def _single_rules(inputs: ExplainInputs, means: TokenMeans) -> tuple[TokenRule, ...]:
    table = _Gains.of(means)
    best = table.order()[:_MAX_TOKENS]
    if not len(best) or table.mass <= 0:
        return ()
    # A token that adds less than a hundredth of what stands out is noise to the reader.
    gains = table.gains[best]
    telling = best[gains >= 0.01 * table.gains.sum()]
    stored = table.ids[telling if len(telling) else best[:1]].tolist()
    pieces = inputs.tokenizer.pieces(stored)
    return tuple(
        TokenRule(
            tokens=(token,),
            text=piece,
            activation=shrunk_mean(means, token),
            share=means.counts[token] * means.means[token] / table.mass,
        )
        for token, piece in zip(stored, pieces, strict=True)
    )


def telling_tokens(means: TokenMeans) -> tuple[int, ...]:
    """Vocabulary ids by falling share of the activation's variance that they account for."""
    table = _Gains.of(means)
    return tuple(table.ids[table.order()].tolist())


def most_active_tokens(means: TokenMeans, n: int) -> tuple[int, ...]:
    """The n vocabulary ids with the greatest means above the overall one, lucky ones drawn in."""
    table = _Gains.of(means)
    order = np.lexsort((table.ids, -table.shrunk))[:n]
    return tuple(table.ids[order].tolist())


@dataclass(frozen=True, slots=True)
class _Gains:
    """The tokens that are more active than the mean of all."""

    ids: NDArray[np.int64]
    shrunk: NDArray[np.float64]
    """Mean activation of each, drawn towards the overall mean."""
    gains: NDArray[np.float64]
    """How much of the activation's variance each accounts for."""
    mass: float
    """Summed activation of all tokens."""

    @classmethod
    def of(cls, means: TokenMeans) -> _Gains:
        ids, values, counts = (np.asarray(column) for column in means.columns())
        shrunk = (counts * values + _PRIOR_COUNT * means.overall) / (counts + _PRIOR_COUNT)
        above = np.flatnonzero(shrunk > means.overall)
        gains = counts[above] * (shrunk[above] - means.overall) ** 2
        return cls(ids[above], shrunk[above], gains, float(counts @ values))

    def order(self) -> NDArray[np.int64]:
        """Places by falling gain, equal ones by ascending id."""
        return np.lexsort((self.ids, -self.gains))


def shrunk_mean(means: TokenMeans, token: int) -> float:
    """Mean activation of a token, drawn towards the overall mean where it has few places."""
    count = means.counts[token]
    return (count * means.means[token] + _PRIOR_COUNT * means.overall) / (count + _PRIOR_COUNT)


def pair_rules(
    records: ExplainSet,
    means: TokenMeans,
    *,
    most: int = _MAX_BIGRAMS,
    share: float = _BIGRAM_SHARE,
) -> tuple[TokenRule, ...]:
    """Pairs whose second token is far more active there than elsewhere, by falling activation.

    At least two places are known of each, and their mean is above a share of the peak.
    """
    least = share * records.peak
    read = [(record, record.side(records.side)) for record in records.records]
    # A mean above the least takes an activation above it.
    likely = {
        pair
        for record, side in read
        for pair, a in zip(itertools.pairwise(record.token_ids), side[1:], strict=True)
        if a > least
    }
    sums: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    texts: dict[tuple[int, int], str] = {}
    weights: defaultdict[tuple[int, int], float] = defaultdict(float)
    for record, side in read:
        for i, pair in enumerate(itertools.pairwise(record.token_ids), start=1):
            if pair in likely:
                sums[pair].append(side[i])
                weights[pair] += record.weight * side[i]
                texts[pair] = join_tokens(record.tokens[i - 1 : i + 1])
    total = sum(record.weight * sum(side) for record, side in read)
    strong = {
        pair: sum(values) / len(values)
        for pair, values in sums.items()
        if len(values) > 1
        and sum(values) / len(values) > _BIGRAM_GAIN * means.means.get(pair[1], means.overall)
        and sum(values) / len(values) > least
    }
    best = sorted(strong, key=lambda pair: (-weights[pair], pair))[:most]
    return tuple(
        TokenRule(
            tokens=pair,
            text=texts[pair],
            activation=strong[pair],
            share=weights[pair] / total if total else 0.0,
        )
        for pair in best
    )


def rules_sentence(rules: Iterable[TokenRule]) -> str:
    """The rules as people read them: ``the tokens " of", "of"; " York" behind " New"``."""
    singles = [_quoted(rule.text) for rule in rules if len(rule.tokens) == 1]
    bigrams = [_quoted(rule.text) for rule in rules if len(rule.tokens) == 2]
    parts = []
    if singles:
        parts.append(("the tokens " if len(singles) > 1 else "the token ") + ", ".join(singles))
    if bigrams:
        parts.append("the end of " + ", ".join(bigrams))
    return "; ".join(parts)


def _quoted(text: str) -> str:
    return shown_escapes(json.dumps(text, ensure_ascii=False))


SPEC = ExplainerSpec(
    name=TokenLookup.name,
    build=lambda _: TokenLookup(),
    needs=frozenset(),
    default_with=frozenset(JobLlm),
    calls=lambda _: (),
)
