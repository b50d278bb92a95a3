"""Tasks made from Unicode CLDR between which transfer shows: continents of names, and parts of dates (no download)."""

from raystilts.tasks import cldr
from raystilts.tasks.cldr.calendar import MONTHS, SEASONS, WEEKDAYS
from raystilts.tasks.cldr.places import AREAS, LANGUAGE_AREAS, WRITTEN_IN
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.tasks.types.retrieval import Retrieval


def _rows(generator: str, split: str, rows: int, tokens: int) -> Generated:
    return Generated(
        generator=f"raystilts.tasks.cldr.{generator}",
        version=cldr.VERSION,
        split=split,
        rows=rows,
        tokens_per_row=tokens,
    )


def _classified(name: str, generator: str, labels: tuple[str, ...], tokens: int, description: str) -> Task:
    languages = WRITTEN_IN if generator.startswith("places") else cldr.LANGUAGES
    return Task(
        name=name,
        type=SequenceClassification(text="text", labels=labels),
        train=_rows(generator, "train", 1_200, tokens),
        dev=_rows(generator, "validation", 240, tokens),
        test=_rows(generator, "test", 240, tokens),
        languages=languages,
        dev_languages=languages,
        main_score="accuracy",
        chance=1 / len(labels),
        description=description,
        licence=cldr.LICENCE,
        citation=cldr.CITATION,
        url=cldr.URL,
        scores_compared="never published: made for raystilts",
    )


# Fewer names than these in some languages: dev and test have at most 240 rows.
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

CLDR_DATE_MATCH = Task(
    name="cldr_date_match",
    type=Retrieval(query="target_sentence", candidate="source_sentence"),
    dev=_rows("calendar:date_match", "validation", 150, 6),
    test=_rows("calendar:date_match", "test", 150, 6),
    languages=cldr.FOREIGN,
    dev_languages=cldr.FOREIGN,
    main_score="accuracy",
    chance=0.0,
    description="Finds each English date (weekday, day and month) among a language's dates.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)
