"""Whether two phrases say the same, from Unicode CLDR (no download)."""

from raystilts.tasks import cldr
from raystilts.tasks.cldr.same import LABELS
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

ROWS = "raystilts.tasks.cldr.same:rows"

TASK = Task(
    name="cldr_same",
    type=SequenceClassification(text="sentence1", text_pair="sentence2", labels=LABELS),
    train=Generated(
        generator=ROWS, version=cldr.VERSION, split="train", rows=3_000, tokens_per_row=25
    ),
    dev=Generated(
        generator=ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=25
    ),
    test=Generated(
        generator=ROWS, version=cldr.VERSION, split="test", rows=240, tokens_per_row=25
    ),
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
