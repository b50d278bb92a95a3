"""The parts of dates and times in text, from Unicode CLDR (no download)."""

from raystilts.tasks import cldr
from raystilts.tasks.cldr.dates import LABELS
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.tagging import Tagging

ROWS = "raystilts.tasks.cldr.dates:rows"

TASK = Task(
    name="cldr_dates",
    type=Tagging(tags="tags", labels=LABELS, scores="entities"),
    train=Generated(
        generator=ROWS, version=cldr.VERSION, split="train", rows=1_500, tokens_per_row=24
    ),
    dev=Generated(
        generator=ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=24
    ),
    test=Generated(
        generator=ROWS, version=cldr.VERSION, split="test", rows=200, tokens_per_row=24
    ),
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
