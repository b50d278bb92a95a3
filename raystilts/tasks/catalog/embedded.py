"""Tasks made from Unicode CLDR, which need no download: one a type of task, and those between which transfer shows."""

from raystilts.tasks import cldr
from raystilts.tasks.cldr.calendar import MONTHS, SEASONS, WEEKDAYS
from raystilts.tasks.cldr.dates import LABELS as DATES_LABELS
from raystilts.tasks.cldr.names import LABELS as NAMES_LABELS
from raystilts.tasks.cldr.places import AREAS, LANGUAGE_AREAS, WRITTEN_IN
from raystilts.tasks.cldr.same import LABELS as SAME_LABELS
from raystilts.tasks.cldr.units import LABELS as UNITS_LABELS
from raystilts.tasks.source import Generated
from raystilts.tasks.task import AnyType, Task
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.tasks.types.multiple_choice import MultipleChoice
from raystilts.tasks.types.retrieval import Retrieval
from raystilts.tasks.types.span_qa import SpanQA
from raystilts.tasks.types.tagging import Tagging


def _made(
    name: str,
    kind: AnyType,
    generator: str,
    rows: tuple[int | None, int, int],
    tokens: int,
    description: str,
    languages: tuple[str, ...] = cldr.LANGUAGES,
    main_score: str = "accuracy",
) -> Task:
    """A task of generated rows, so many for training (None: it has none), dev and test."""
    train, dev, test = (
        None if count is None else Generated(
            generator=f"raystilts.tasks.cldr.{generator}",
            version=cldr.VERSION,
            split=split,
            rows=count,
            tokens_per_row=tokens,
        )
        for split, count in zip(("train", "validation", "test"), rows, strict=True)
    )  # fmt: skip
    return Task(
        name=name,
        type=kind,
        train=train,
        dev=dev,
        test=test,
        languages=languages,
        dev_languages=languages,
        main_score=main_score,
        description=description,
        licence=cldr.LICENCE,
        citation=cldr.CITATION,
        url=cldr.URL,
        scores_compared="never published: made for raystilts",
    )


# What a localized name is the name of.
CLDR_NAMES = _made(
    "cldr_names",
    SequenceClassification(text="text", labels=NAMES_LABELS),
    "names:rows",
    (1_800, 240, 240),
    14,
    "Territory, language, currency, city, unit or time zone? One to three names.",
)

# What a quantity measures.
CLDR_UNITS = _made(
    "cldr_units",
    SequenceClassification(text="text", labels=UNITS_LABELS),
    "units:rows",
    (1_980, 242, 242),
    9,
    "Length, mass, money, ...? A number and a unit, written long or short.",
)

# Whether two phrases say the same.
CLDR_SAME = _made(
    "cldr_same",
    SequenceClassification(text="sentence1", text_pair="sentence2", labels=SAME_LABELS),
    "same:rows",
    (3_000, 240, 240),
    25,
    "Dates, times, quantities and lists in two forms, against near misses.",
)

# Which of four phrases fits a given one.
CLDR_CHOICE = _made(
    "cldr_choice",
    MultipleChoice(context="{question}", choices=("choices",), labels=("0", "1", "2", "3")),
    "choice:rows",
    (2_000, 240, 240),
    76,
    "Same kind of name, same dimension, same date or same quantity.",
)

# The parts of dates and times in text.
CLDR_DATES = _made(
    "cldr_dates",
    Tagging(tags="tags", labels=DATES_LABELS, scores="entities"),
    "dates:rows",
    (1_500, 240, 200),
    24,
    "Weekday, day, month, year and time, among quantities and names.",
    main_score="f1",
)

# Questions about a list of events, answered by a part of it.
CLDR_SPAN = _made(
    "cldr_span",
    SpanQA(max_answer_length=40),
    "span:rows",
    (2_000, 240, 200),
    75,
    "Events with dates and quantities; asks for an event, its date or a quantity.",
    main_score="f1",
)

# Names matched with their English counterparts.
CLDR_MATCH = _made(
    "cldr_match",
    Retrieval(query="target_sentence", candidate="source_sentence"),
    "match:rows",
    (None, 200, 250),
    10,
    "Finds each English name among a language's names of all kinds.",
    languages=cldr.FOREIGN,
)


def _classified(name: str, generator: str, labels: tuple[str, ...], tokens: int, description: str) -> Task:
    """A task between which and others of its kind transfer shows: continents of names, and parts of dates.

    Some languages have fewer names than these: dev and test have at most 240 rows.
    """
    languages = WRITTEN_IN if generator.startswith("places") else cldr.LANGUAGES
    kind = SequenceClassification(text="text", labels=labels)
    return _made(name, kind, generator, (1_200, 240, 240), tokens, description, languages)


CLDR_CITIES = _classified("cldr_cities", "places:cities", AREAS, 11, "A city in Africa, America, Asia or Europe?")
CLDR_COUNTRIES = _classified(
    "cldr_countries", "places:countries", AREAS, 9, "A country in Africa, America, Asia or Europe?"
)
CLDR_CURRENCIES = _classified(
    "cldr_currencies", "places:currencies", AREAS, 14, "Money of Africa, America, Asia or Europe?"
)
CLDR_LANGUAGES = _classified(
    "cldr_languages", "places:languages", LANGUAGE_AREAS, 12, "A language of Africa, Asia or Europe?"
)
CLDR_MONTHS = _classified("cldr_months", "calendar:months", MONTHS, 10, "Which month is this date in?")
CLDR_WEEKDAYS = _classified("cldr_weekdays", "calendar:weekdays", WEEKDAYS, 11, "Which day of the week is this date?")
CLDR_SEASONS = _classified("cldr_seasons", "calendar:seasons", SEASONS, 10, "Is it winter, spring, summer or autumn?")

CLDR_DATE_MATCH = _made(
    "cldr_date_match",
    Retrieval(query="target_sentence", candidate="source_sentence"),
    "calendar:date_match",
    (None, 150, 150),
    6,
    "Finds each English date (weekday, day and month) among a language's dates.",
    languages=cldr.FOREIGN,
)
