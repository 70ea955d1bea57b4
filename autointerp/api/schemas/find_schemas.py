"""A feature that is looked for among the units of a model, as it travels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from autointerp.api.schemas import Wire
from autointerp.api.schemas.explanation_schemas import ScoreOut
from autointerp.core.ids import Side

MOST_TEXTS = 1_000
"""Texts of one list."""
MOST_CHARACTERS = 200_000
"""Of all texts of a request."""
_Text = Annotated[str, Field(max_length=20_000)]
_Size = Annotated[int, Field(strict=True, ge=1, le=256)]


def _made_up(what: str) -> list[JsonValue]:
    places = ("north", "south", "east", "west", "hills", "coast", "woods", "plain")
    return [f"{what} in the {place}, and they went on to the next town." for place in places]


class FindRequest(Wire):
    """What is looked for (one of texts, labelled examples, a ready feature, a pattern), and how."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"feature": "years", "k": []},
                {"regex": r"\b[Ii]nstitut\w{1,20}", "corpus": "wiki", "tokens": 16_384},
                {
                    "positive": _made_up("In 1912 it rained"),
                    "negative": _made_up("At night it rained"),
                },
            ]
        }
    )

    positive: list[_Text] = Field(
        default=[], max_length=MOST_TEXTS, description="Texts that show the feature."
    )
    negative: list[_Text] = Field(
        default=[], max_length=MOST_TEXTS, description="Texts that do not; both are needed."
    )
    examples: list[dict[str, Any]] = Field(
        default=[],
        max_length=MOST_TEXTS,
        description="In place of both: texts labelled as lines of `--dataset` are: "
        '`{"text", "label"}` as a whole, `{"text", "spans", "ignore"}` by characters, or '
        '`{"tokens", "labels"}`.',
    )
    feature: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="A ready feature: `years`, `code-comment`, `compound:social security`; an "
        "unknown one lists all.",
    )
    regex: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Tokens that overlap a match have the feature. No repeat within a repeat, and "
        r"repeats in a row bounded, such as `\w{1,20}`.",
    )
    corpus: str | None = Field(
        default=None,
        max_length=20_000,
        description="Of a feature or a pattern: the text that is read; the feature's own if null.",
    )
    units: str = Field(
        default="all", min_length=1, max_length=2_000, description="That are ranked."
    )
    tokens: int = Field(default=8_192, ge=256, le=65_536, description="To read at most.")
    n_ctx: int = Field(default=64, ge=2, le=1_024, description="Tokens a window.")
    rank_by: Literal[
        "average_precision", "f_statistic", "mean_difference", "mutual_information"
    ] = "average_precision"
    n: int = Field(default=10, ge=1, le=100, description="So many of the best units are told.")
    k: list[_Size] = Field(
        default=[16, 4, 2, 1],
        max_length=10,
        description="Numbers of units of probes, 1 always among them; no probes where empty.",
    )
    exact_s: float = Field(
        default=5.0, ge=0, le=30, description="Seconds of each exact search, of up to 4 units."
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="Of documents and tokens drawn.")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Of the model's weights."
    )


class ClassCountsOut(Wire):
    """Labelled tokens of one part of the text."""

    n_positive: int
    n_negative: int = Field(description="Hard ones among them.")
    n_hard: int = Field(description="Negatives that nearly carry the feature.")
    n_documents: int


class FeatureUnitAlone(Wire):
    """One unit and how well it alone tells the feature; a worker sends this."""

    unit: str
    side: Side = Field(description="Negative where low activations stand for the feature.")
    mean_difference: float = Field(description="Mean activation with less that without it.")
    f_statistic: float | None = Field(description="Null where neither class varies.")
    average_precision: float = Field(description="On the documents that units are ranked on.")
    mutual_information: float = Field(description="Nats.")
    tested: float | None = Field(description="Average precision on documents held out.")
    tested_low: float | None = Field(
        description="Of its 95 % interval over documents; null behind the first 20 units."
    )
    tested_high: float | None
    label: str | None = Field(description="What its label says; null without one.")


class FeatureUnitOut(FeatureUnitAlone):
    """The same with its label."""

    hook: str
    layer: int
    index: int
    has_label: bool = Field(description="Whether it has a page.")
    score: float | None = Field(description="Of its label.")


class FoundLayerOut(Wire):
    """One hook point and the best of its units."""

    hook: str
    n_units: int
    best: str
    value: float | None = Field(description="What units are ranked by, of that unit.")


class ProbeLineOut(Wire):
    """The probe on k units, scored on documents held out, and how good its fit is."""

    k: int
    units: list[str] = Field(description="The strongest first.")
    weights: list[float] = Field(description="Per standard deviation of the unit.")
    f1: ScoreOut
    precision: ScoreOut
    recall: ScoreOut
    mcc: ScoreOut
    average_precision: ScoreOut
    certified: bool | None = Field(description="No other k of those searched fit better.")
    loss: float | None = Field(description="Nats; null, as the next four, where not searched.")
    bound: float | None
    gap: float | None
    n_searched: int | None
    n_subsets: int | None


class BaselineLineOut(Wire):
    """Probes that others are read against."""

    name: str
    k: int
    median_mcc: float
    highest_mcc: float


class FeatureVerdictOut(Wire):
    """How the feature is carried."""

    carrier: str = Field(description="One unit, union of units, superposition or absent.")
    grain: str | None = Field(description="Coarser, finer or as fine; null where absent.")
    units: list[str]
    best_mcc: float
    chance_mcc: float = Field(description="The highest of probes on shuffled labels.")
    reason: str


class FeatureProbesOut(Wire):
    """Probes on the best units of three hook points, and the verdict."""

    hooks: list[str]
    n_candidates: int
    n_train: int
    n_test: int
    lines: list[ProbeLineOut] = Field(description="The most units first.")
    dense_mcc: ScoreOut = Field(description="Of the probe on all candidates.")
    baselines: list[BaselineLineOut]
    verdict: FeatureVerdictOut


class FoundFeature(Wire):
    """What a worker sends back."""

    subject: str
    feature: str
    marks: str = Field(description="What the positive tokens are.")
    hard: str = Field(description="What the hard negatives are; empty without any.")
    corpus: str
    measure: str = Field(description="What units are ranked by.")
    n_units: int
    ranked: ClassCountsOut = Field(description="The text that units are ranked on.")
    tested: ClassCountsOut = Field(description="Text of other documents.")
    units: list[FeatureUnitAlone]
    layers: list[FoundLayerOut] = Field(description="That of the best unit first.")
    probes: FeatureProbesOut | None = Field(description="Null where none were asked for.")
    notes: list[str]
    seconds: dict[str, float] = Field(description="By stage.")


class FindOut(FoundFeature):
    """The best units, best first, beside their labels."""

    units: list[FeatureUnitOut]  # type: ignore[assignment]
    command: str = Field(description="What does all of it, without the limits of a request.")
