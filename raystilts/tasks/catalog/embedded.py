"""Tasks made from Unicode CLDR, which need no download."""

from raystilts.tasks import cldr
from raystilts.tasks.cldr.dates import LABELS as DATES_LABELS
from raystilts.tasks.cldr.names import LABELS as NAMES_LABELS
from raystilts.tasks.cldr.same import LABELS as SAME_LABELS
from raystilts.tasks.cldr.units import LABELS as UNITS_LABELS
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.tasks.types.multiple_choice import MultipleChoice
from raystilts.tasks.types.retrieval import Retrieval
from raystilts.tasks.types.span_qa import SpanQA
from raystilts.tasks.types.tagging import Tagging

# What a localized name is the name of, from Unicode CLDR (no download).
CLDR_NAMES_ROWS = "raystilts.tasks.cldr.names:rows"

CLDR_NAMES = Task(
    name="cldr_names",
    type=SequenceClassification(text="text", labels=NAMES_LABELS),
    train=Generated(generator=CLDR_NAMES_ROWS, version=cldr.VERSION, split="train", rows=1_800, tokens_per_row=14),
    dev=Generated(generator=CLDR_NAMES_ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=14),
    test=Generated(generator=CLDR_NAMES_ROWS, version=cldr.VERSION, split="test", rows=240, tokens_per_row=14),
    languages=cldr.LANGUAGES,
    dev_languages=cldr.LANGUAGES,
    main_score="accuracy",
    chance=1 / len(NAMES_LABELS),
    description="Territory, language, currency, city, unit or time zone? One to three names.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)


# What a quantity measures, from Unicode CLDR (no download).
CLDR_UNITS_ROWS = "raystilts.tasks.cldr.units:rows"

CLDR_UNITS = Task(
    name="cldr_units",
    type=SequenceClassification(text="text", labels=UNITS_LABELS),
    train=Generated(generator=CLDR_UNITS_ROWS, version=cldr.VERSION, split="train", rows=1_980, tokens_per_row=9),
    dev=Generated(generator=CLDR_UNITS_ROWS, version=cldr.VERSION, split="validation", rows=242, tokens_per_row=9),
    test=Generated(generator=CLDR_UNITS_ROWS, version=cldr.VERSION, split="test", rows=242, tokens_per_row=9),
    languages=cldr.LANGUAGES,
    dev_languages=cldr.LANGUAGES,
    main_score="accuracy",
    chance=1 / len(UNITS_LABELS),
    description="Length, mass, money, ...? A number and a unit, written long or short.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)


# Whether two phrases say the same, from Unicode CLDR (no download).
CLDR_SAME_ROWS = "raystilts.tasks.cldr.same:rows"

CLDR_SAME = Task(
    name="cldr_same",
    type=SequenceClassification(text="sentence1", text_pair="sentence2", labels=SAME_LABELS),
    train=Generated(generator=CLDR_SAME_ROWS, version=cldr.VERSION, split="train", rows=3_000, tokens_per_row=25),
    dev=Generated(generator=CLDR_SAME_ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=25),
    test=Generated(generator=CLDR_SAME_ROWS, version=cldr.VERSION, split="test", rows=240, tokens_per_row=25),
    languages=cldr.LANGUAGES,
    dev_languages=cldr.LANGUAGES,
    main_score="accuracy",
    chance=1 / 2,
    description="Dates, times, quantities and lists in two forms, against near misses.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)


# Which of four phrases fits a given one, from Unicode CLDR (no download).
CLDR_CHOICE_ROWS = "raystilts.tasks.cldr.choice:rows"

CLDR_CHOICE = Task(
    name="cldr_choice",
    type=MultipleChoice(context="{question}", choices=("choices",), labels=("0", "1", "2", "3")),
    train=Generated(generator=CLDR_CHOICE_ROWS, version=cldr.VERSION, split="train", rows=2_000, tokens_per_row=76),
    dev=Generated(generator=CLDR_CHOICE_ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=76),
    test=Generated(generator=CLDR_CHOICE_ROWS, version=cldr.VERSION, split="test", rows=240, tokens_per_row=76),
    languages=cldr.LANGUAGES,
    dev_languages=cldr.LANGUAGES,
    main_score="accuracy",
    chance=1 / 4,
    description="Same kind of name, same dimension, same date or same quantity.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)


# The parts of dates and times in text, from Unicode CLDR (no download).
CLDR_DATES_ROWS = "raystilts.tasks.cldr.dates:rows"

CLDR_DATES = Task(
    name="cldr_dates",
    type=Tagging(tags="tags", labels=DATES_LABELS, scores="entities"),
    train=Generated(generator=CLDR_DATES_ROWS, version=cldr.VERSION, split="train", rows=1_500, tokens_per_row=24),
    dev=Generated(generator=CLDR_DATES_ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=24),
    test=Generated(generator=CLDR_DATES_ROWS, version=cldr.VERSION, split="test", rows=200, tokens_per_row=24),
    languages=cldr.LANGUAGES,
    dev_languages=cldr.LANGUAGES,
    main_score="f1",
    chance=0.0,
    description="Weekday, day, month, year and time, among quantities and names.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)


# Questions about a list of events, answered by a part of it, from Unicode CLDR (no download).
CLDR_SPAN_ROWS = "raystilts.tasks.cldr.span:rows"

CLDR_SPAN = Task(
    name="cldr_span",
    type=SpanQA(max_answer_length=40),
    train=Generated(generator=CLDR_SPAN_ROWS, version=cldr.VERSION, split="train", rows=2_000, tokens_per_row=75),
    dev=Generated(generator=CLDR_SPAN_ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=75),
    test=Generated(generator=CLDR_SPAN_ROWS, version=cldr.VERSION, split="test", rows=200, tokens_per_row=75),
    languages=cldr.LANGUAGES,
    dev_languages=cldr.LANGUAGES,
    main_score="f1",
    chance=0.0,
    description="Events with dates and quantities; asks for an event, its date or a quantity.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)


# Names matched with their English counterparts, from Unicode CLDR (no download).
CLDR_MATCH_ROWS = "raystilts.tasks.cldr.match:rows"

CLDR_MATCH = Task(
    name="cldr_match",
    type=Retrieval(query="target_sentence", candidate="source_sentence"),
    dev=Generated(generator=CLDR_MATCH_ROWS, version=cldr.VERSION, split="validation", rows=200, tokens_per_row=10),
    test=Generated(generator=CLDR_MATCH_ROWS, version=cldr.VERSION, split="test", rows=250, tokens_per_row=10),
    languages=cldr.FOREIGN,
    dev_languages=cldr.FOREIGN,
    main_score="accuracy",
    chance=0.0,
    description="Finds each English name among a language's names of all kinds.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)
