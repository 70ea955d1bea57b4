"""What one side of one unit is labelled from, and with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autointerp.core.config import Describe, ScoreConfig
from autointerp.core.explanations import Candidate, Explanation, PromptRef
from autointerp.core.probe import UnitProbe
from autointerp.core.records import ActivationRecord, NeuronStats, TokenMeans, UnitSets
from autointerp.core.seeds import derive_seed
from autointerp.core.text import TextTokenizer
from autointerp.core.unit_evidence import UnitEvidence
from autointerp.explainers import Explainer, ExplainInputs
from autointerp.llm import ChatModel
from autointerp.scorers import Programs, Rules, Scorer, ScoringSet
from autointerp.scorers.scorer_inputs import LlmScorer
from autointerp.scorers.simulation.senses_simulation import SensesSimulation


@dataclass(frozen=True, slots=True)
class Tools:
    """The explainers and scorers of a job."""

    explainers: tuple[Explainer, ...]
    simulation: Scorer | None
    """Judges explanations in words; None where no LLM is used."""
    further: tuple[Scorer, ...]
    """Scorers that run beside the preferred one on the chosen explanation."""
    prompts: tuple[PromptRef, ...]
    """Every prompt used, explainers first."""
    llm: ChatModel | None = None
    """Writes texts with which explanations are tried; None where no LLM is used."""

    @property
    def senses(self) -> SensesSimulation | None:
        """The scorer of explanations in words, where it asks for the places of senses."""
        return self.simulation if isinstance(self.simulation, SensesSimulation) else None

    def asking(self, wrap: Callable[[ChatModel], ChatModel]) -> Tools:
        """The same, of which the judge of explanations in words asks a model around its own."""
        if isinstance(self.simulation, LlmScorer):
            return replace(self, simulation=self.simulation.asking(wrap))
        return self

    def judge(self, explanation: Explanation) -> Scorer | None:
        """Who predicts activations from it: a program where it is one, else the LLM."""
        if explanation.program is not None:
            return Programs()
        return Rules() if explanation.rules else self.simulation


@dataclass(frozen=True, slots=True)
class UnitInput:
    """One side of one unit, ready to be labelled."""

    sets: UnitSets
    token_means: TokenMeans
    stats: NeuronStats
    tokenizer: TextTokenizer
    config: ScoreConfig
    seed: int
    describe: Describe = "llm"
    """Which explanation is to describe the unit."""
    fresh_explanations: bool = False
    """It failed before for want of an explanation: explainers ask anew."""
    fresh_scorers: frozenset[str] = frozenset()
    """It failed before because no trial of these could be read: they ask anew."""
    negatives: tuple[ActivationRecord, ...] = ()
    """Explain windows that hold the exemplars' tokens and on which the side is silent."""
    promoted: tuple[str, ...] = ()
    """Tokens that the side makes more probable, strongest first."""
    suppressed: tuple[str, ...] = ()
    promoted_values: tuple[float, ...] = ()
    """What the side adds to the logit of each, as in `Label`."""
    suppressed_values: tuple[float, ...] = ()
    evidence: UnitEvidence | None = None
    """What is known of the side beside what its label will say."""
    probe: UnitProbe | None = None
    """Runs texts through the subject model, where it is at hand."""

    @property
    def explain_inputs(self) -> ExplainInputs:
        """What explainers may see."""
        return ExplainInputs(
            self.sets.explain,
            self.token_means,
            self.tokenizer,
            fresh=self.fresh_explanations,
            negatives=self.negatives,
            promoted=self.promoted,
            suppressed=self.suppressed,
            probe=self.probe,
        )

    def scoring_set(self, *, held_out: bool, others: Sequence[Explanation] = ()) -> ScoringSet:
        """The validation windows or the held-out ones, with how to score on them."""
        windows = self.sets.held_out if held_out else self.sets.validation
        made = ScoringSet.of(
            windows,
            seed=derive_seed(self.seed, "bootstrap", str(windows.unit), windows.side),
            n_bootstrap=self.config.n_bootstrap,
            confidence=self.config.confidence,
        )
        return replace(made, others=tuple(others), probe=self.probe)

    def asked_by(self, scorer: str, windows: ScoringSet) -> ScoringSet:
        """The windows as one scorer asks about them: anew where none of its trials was read."""
        return replace(windows, fresh=scorer in self.fresh_scorers)


@dataclass(frozen=True, slots=True)
class Selection:
    """What explaining came to."""

    candidates: tuple[Candidate, ...]
    failures: tuple[str, ...]
    found_no_pattern: bool
    llm: Explanation | None = None
    """The best that an LLM wrote."""
    rules: Explanation | None = None
    """The best that none wrote."""
    rules_are_better: bool = False
    """Whether the rules are expected to score better, by the same validation windows."""
    describe: Describe = "llm"
    """Which of the two is to describe the unit."""

    @property
    def explanation(self) -> Explanation | None:
        """The one that describes the unit before held-out windows were seen, if there is any."""
        if self.describe == "rules" or (self.describe == "better" and self.rules_are_better):
            return self.rules or self.llm
        return self.llm or self.rules

    def choosing(self, explanation: Explanation | None) -> tuple[Candidate, ...]:
        """The candidates, with this one as the chosen one."""
        return tuple(replace(c, chosen=c.explanation == explanation) for c in self.candidates)
