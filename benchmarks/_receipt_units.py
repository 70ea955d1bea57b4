"""Units that follow a rule over words, each with a true explanation and one that is nearly so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SIGNS = ".,;:!?\"'()[]“”‘’"
Words = Sequence[str]


@dataclass(frozen=True, slots=True)
class ReceiptUnit:
    """A unit that is active on the last of some words where its condition holds."""

    holds: Callable[[Words], bool]
    true: str
    """What it responds to."""
    near: str
    """What it might be taken for."""
    sample: str
    """A text on which it is active."""


def _bare(word: str) -> str:
    return word.strip(_SIGNS)


def _one_of(words: str) -> Callable[[Words], bool]:
    known = frozenset(words.split())
    return lambda read: _bare(read[-1]).lower() in known


def _behind(words: str) -> Callable[[Words], bool]:
    known = frozenset(words.split())
    return lambda read: len(read) > 1 and _bare(read[-2]).lower() in known


def _ends_in(ending: str) -> Callable[[Words], bool]:
    return lambda read: len(_bare(read[-1])) > 4 and _bare(read[-1]).lower().endswith(ending)


def _is_year(read: Words) -> bool:
    return _bare(read[-1]).isdigit() and len(_bare(read[-1])) == 4


def _in_capitals(read: Words) -> bool:
    word = _bare(read[-1])
    return len(word) > 1 and word.isalpha() and word.isupper()


def _after_comma(read: Words) -> bool:
    return len(read) > 1 and read[-2].endswith(",")


def _of_an_institution(read: Words) -> bool:
    kinds = _behind(
        "university museum institute academy college society department ministry bank school"
        " library"
    )
    return _bare(read[-1]).lower() == "of" and kinds(read)


UNITS = (
    ReceiptUnit(
        _one_of(
            "january february march april may june july august september october november december"
        ),
        "names of months",
        "names of the days of the week",
        ("In March and then in October the river rose. In May it fell."),
    ),
    ReceiptUnit(
        _one_of("monday tuesday wednesday thursday friday saturday sunday"),
        "names of the days of the week",
        "names of months",
        "We met on Monday and again on Friday evening.",
    ),
    ReceiptUnit(
        _one_of(
            "red green blue yellow black white brown orange purple pink grey gray "
            "violet scarlet crimson"
        ),
        "colour words",
        "words for shapes such as circle and square",
        "A red door and a blue gate under a white sky",
    ),
    ReceiptUnit(
        _one_of("one two three four five six seven eight nine ten eleven twelve"),
        "number words from one to twelve, spelled out",
        "numbers written in digits",
        "They had three sons and seven daughters in ten years",
    ),
    ReceiptUnit(
        _is_year,
        "years written as four digits, such as 1945",
        "months and days of dates, but not the year",
        "The war of 1945 and the treaty of 1763 were far apart",
    ),
    ReceiptUnit(
        _one_of("he she him her his hers"),
        ("third person singular pronouns for people: he, she, him, her, his, hers"),
        "pronouns of the first person: I, me, my, we, us",
        "Then he gave her the book and she read his letter",
    ),
    ReceiptUnit(
        _one_of("i me my we us our mine ours"),
        "pronouns of the first person: I, me, my, we, us, our",
        "third person singular pronouns",
        "When we came home my brother told us that I was late",
    ),
    ReceiptUnit(
        _ends_in("ing"),
        "words that end in -ing",
        "words that end in -ed",
        "They were walking and singing while the sun was setting",
    ),
    ReceiptUnit(
        _ends_in("ed"),
        "words that end in -ed",
        "words that end in -ing",
        "She opened the door and looked where he had turned",
    ),
    ReceiptUnit(
        _behind("not"),
        'the word directly after "not"',
        'the word directly before "not"',
        "It was not easy and they did not know the way",
    ),
    ReceiptUnit(
        _after_comma,
        "the first word after a comma",
        "the last word before a full stop",
        "After lunch, we slept, because rain, they said, was near",
    ),
    ReceiptUnit(
        _of_an_institution,
        ('"of" after the name of a kind of institution: University of, Museum of, Bank of'),
        '"of" after a word for a quantity: a lot of, a piece of',
        "The University of Oslo and the Museum of Art lie near",
    ),
    ReceiptUnit(
        _one_of("mercury venus earth mars jupiter saturn uranus neptune pluto"),
        "names of planets",
        "names of stars and constellations",
        "From Mars to Jupiter the probe flew past Saturn",
    ),
    ReceiptUnit(
        _one_of(
            "violin piano guitar flute drum drums trumpet cello harp clarinet "
            "saxophone organ oboe viola trombone banjo harmonica tuba bassoon"
        ),
        "names of musical instruments",
        "names of styles of music such as jazz or rock",
        ("She played the violin while he played piano and later the flute"),
    ),
    ReceiptUnit(
        _one_of("because although since though unless whereas while if"),
        ("subordinating conjunctions: because, although, since, unless, whereas, while, if"),
        "coordinating conjunctions: and, or, but",
        "We stayed because it rained although the roof leaked",
    ),
    ReceiptUnit(
        _one_of("and or but nor yet so"),
        "coordinating conjunctions: and, or, but, nor, yet, so",
        "subordinating conjunctions: because, although, unless",
        "Tea and bread or milk but no wine",
    ),
    ReceiptUnit(
        _one_of(
            "doctor nurse surgeon physician dentist pharmacist paramedic midwife "
            "doctors nurses surgeons physicians dentists"
        ),
        ("people who work in medicine: doctor, nurse, surgeon, dentist"),
        "people who work in courts: judge, lawyer",
        "The doctor called a nurse and then the surgeon came",
    ),
    ReceiptUnit(
        _one_of(
            "king queen prince princess emperor duke tsar sultan duchess empress baron kings queens"
        ),
        ("titles of nobles and rulers: king, queen, prince, duke, emperor"),
        "elected offices: president, mayor, senator",
        "The king met the duke and a prince at noon",
    ),
    ReceiptUnit(
        _one_of("never no none nothing nobody nowhere neither nor not cannot"),
        "words of negation: no, not, never, nothing, nobody, neither",
        "words of certainty: always, surely, certainly",
        "There was nothing left and nobody came, never again",
    ),
    ReceiptUnit(
        _one_of("who what when where why how which whose whom"),
        "question words: who, what, when, where, why, how, which",
        "auxiliary verbs that open a question: do, can, will",
        "Tell me who came and where they went and why",
    ),
    ReceiptUnit(
        _in_capitals,
        "words in capitals throughout, such as NATO or NASA",
        ("words that begin with a capital letter in the midst of a sentence, such as Paris"),
        "The NATO summit and NASA met with UNESCO in May",
    ),
    ReceiptUnit(
        _one_of(
            "dog cat horse cow sheep pig goat dogs cats horses cows pigs goats hen "
            "donkey chicken chickens duck ducks"
        ),
        ("farm and house animals: dog, cat, horse, cow, sheep, pig, goat"),
        "wild animals such as lion, wolf, bear",
        "The dog chased a cat past the horse and the cow",
    ),
    ReceiptUnit(
        _behind("mr mrs dr ms"),
        "the name directly after Mr, Mrs, Ms or Dr",
        "first names of people at the start of a sentence",
        "Yesterday Mr Brown and Mrs Clark saw Dr Lee",
    ),
    ReceiptUnit(
        _one_of(
            "paris london berlin madrid rome vienna tokyo moscow oslo lisbon cairo "
            "athens dublin prague warsaw beijing ottawa canberra budapest stockholm "
            "copenhagen helsinki"
        ),
        "names of capital cities such as Paris, London, Rome",
        "names of countries such as France, Spain, Italy",
        "From Paris they went to Rome and then by train to Vienna",
    ),
)
