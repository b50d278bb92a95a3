"""SQuAD v1.1."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

TRAIN = Source(
    dataset="squad",
    split="train",
    path="rajpurkar/squad",
    revision="7b6d24c440a36b6815f21b70d25016731768db1f",
    rows=87_599,
    tokens_per_row=185,
)
DEV = TRAIN.other("validation", rows=10_570)

#: For targets whose test paragraphs are in SQuAD's own dev split (XQuAD): one in twenty paragraphs
#: of train.
CARVED_TRAIN = TRAIN.carved("train", share=0.05, by=("context",), rows=83_200)
CARVED_DEV = TRAIN.carved("dev", share=0.05, by=("context",), rows=4_400)

TASK = Task(
    name="squad",
    type=SpanQA(),
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="em_f1",
    chance=0.0,
    description="Where in the paragraph is the answer? English Wikipedia.",
    licence="CC BY-SA 4.0",
    citation="Rajpurkar et al. 2016, EMNLP, aclanthology.org/D16-1264",
    url="https://rajpurkar.github.io/SQuAD-explorer/",
    scores_compared="SQuAD v1.1 exact match and F1; main score their mean, as in jiant",
)
