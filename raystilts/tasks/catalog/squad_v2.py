"""SQuAD v2.0."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

TRAIN = Source(
    dataset="squad_v2",
    split="train",
    path="rajpurkar/squad_v2",
    revision="3ffb306f725f7d2ce8394bc1873b24868140c412",
    rows=130_319,
    tokens_per_row=185,
)
DEV = TRAIN.other("validation", rows=11_873)

TASK = Task(
    name="squad_v2",
    type=SpanQA(no_answer=True),
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="em_f1",
    description="SQuAD with questions that the paragraph does not answer.",
    licence="CC BY-SA 4.0",
    citation="Rajpurkar, Jia and Liang 2018, ACL, aclanthology.org/P18-2124",
    url="https://rajpurkar.github.io/SQuAD-explorer/",
    scores_compared="SQuAD v2.0 exact match and F1 with a threshold of 0 for no answer",
)
