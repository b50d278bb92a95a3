"""Names matched with their English counterparts, from Unicode CLDR (no download)."""

from raystilts.tasks import cldr
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.retrieval import Retrieval

ROWS = "raystilts.tasks.cldr.match:rows"

TASK = Task(
    name="cldr_match",
    type=Retrieval(query="target_sentence", candidate="source_sentence"),
    dev=Generated(
        generator=ROWS, version=cldr.VERSION, split="validation", rows=200, tokens_per_row=10
    ),
    test=Generated(
        generator=ROWS, version=cldr.VERSION, split="test", rows=250, tokens_per_row=10
    ),
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
