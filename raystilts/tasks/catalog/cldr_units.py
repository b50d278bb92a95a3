"""What a quantity measures, from Unicode CLDR (no download)."""

from raystilts.tasks import cldr
from raystilts.tasks.cldr.units import LABELS
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

ROWS = "raystilts.tasks.cldr.units:rows"

TASK = Task(
    name="cldr_units",
    type=SequenceClassification(text="text", labels=LABELS),
    train=Generated(
        generator=ROWS, version=cldr.VERSION, split="train", rows=1_980, tokens_per_row=9
    ),
    dev=Generated(
        generator=ROWS, version=cldr.VERSION, split="validation", rows=242, tokens_per_row=9
    ),
    test=Generated(generator=ROWS, version=cldr.VERSION, split="test", rows=242, tokens_per_row=9),
    languages=cldr.LANGUAGES,
    dev_languages=cldr.LANGUAGES,
    main_score="accuracy",
    chance=1 / len(LABELS),
    description="Length, mass, money, ...? A number and a unit, written long or short.",
    licence=cldr.LICENCE,
    citation=cldr.CITATION,
    url=cldr.URL,
    scores_compared="never published: made for raystilts",
)
