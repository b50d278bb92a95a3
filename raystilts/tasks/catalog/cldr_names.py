"""What a localized name is the name of, from Unicode CLDR (no download)."""

from raystilts.tasks import cldr
from raystilts.tasks.cldr.names import LABELS
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

ROWS = "raystilts.tasks.cldr.names:rows"

TASK = Task(
    name="cldr_names",
    type=SequenceClassification(text="text", labels=LABELS),
    train=Generated(
        generator=ROWS, version=cldr.VERSION, split="train", rows=1_800, tokens_per_row=14
    ),
    dev=Generated(
        generator=ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=14
    ),
    test=Generated(
        generator=ROWS, version=cldr.VERSION, split="test", rows=240, tokens_per_row=14
    ),
    languages=cldr.LANGUAGES,
    dev_languages=cldr.LANGUAGES,
    main_score="accuracy",
    chance=1 / len(LABELS),
    description="Territory, language, currency, city, unit or time zone? One to three names.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)
