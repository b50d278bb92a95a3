"""Questions about a list of events, answered by a part of it, from Unicode CLDR (no download)."""

from raystilts.tasks import cldr
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

ROWS = "raystilts.tasks.cldr.span:rows"

TASK = Task(
    name="cldr_span",
    type=SpanQA(max_answer_length=40),
    train=Generated(
        generator=ROWS, version=cldr.VERSION, split="train", rows=2_000, tokens_per_row=75
    ),
    dev=Generated(
        generator=ROWS, version=cldr.VERSION, split="validation", rows=240, tokens_per_row=75
    ),
    test=Generated(
        generator=ROWS, version=cldr.VERSION, split="test", rows=200, tokens_per_row=75
    ),
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
