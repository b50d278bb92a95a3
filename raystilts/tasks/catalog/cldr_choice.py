"""Which of four phrases fits a given one, from Unicode CLDR (no download)."""

from raystilts.tasks import cldr
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.multiple_choice import MultipleChoice

ROWS = "raystilts.tasks.cldr.choice:rows"

TASK = Task(
    name="cldr_choice",
    type=MultipleChoice(context="{question}", choices=("choices",), labels=("0", "1", "2", "3")),
    train=Generated(
        generator=ROWS, version=cldr.VERSION, split="train", rows=2_000, tokens_per_row=76
    ),
    dev=Generated(
        generator=ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=76
    ),
    test=Generated(
        generator=ROWS, version=cldr.VERSION, split="test", rows=240, tokens_per_row=76
    ),
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
