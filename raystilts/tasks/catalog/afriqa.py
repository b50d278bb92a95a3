"""AfriQA, gold passages: questions in African languages about English or French passages.

The hub's copy is a script, which nobody runs here: a folder holds the published files as Parquet.
A question with a yes/no answer or without a passage cannot be answered by a span. It counts as
wrong in em_f1, as in the published baseline; span_em_f1 is over the others.
"""

from raystilts.tasks.catalog.squad import CARVED_DEV, CARVED_TRAIN
from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

TASK = Task(
    name="afriqa",
    type=SpanQA(spanless=True),
    train=CARVED_TRAIN,
    dev=CARVED_DEV,
    test=Source(dataset="afriqa", split="test", converter="afriqa_items", rows=350, tokens_per_row=190),
    languages=codes("bem fon ha ig rw sw tw yo zu"),
    dev_languages=("en",),
    main_score="em_f1",
    chance=0.0,
    description="Cross-lingual reading: the answer is a span of the English (Fon: French) passage.",
    licence="CC BY 4.0",
    citation="Ogundepo et al. 2023, Findings of EMNLP, aclanthology.org/2023.findings-emnlp.997",
    url="https://github.com/masakhane-io/afriqa",
)
