"""Quora Question Pairs (GLUE)."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TRAIN = Source(
    dataset="qqp",
    split="train",
    path="nyu-mll/glue",
    name="qqp",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows=363_846,
    tokens_per_row=34,
)
DEV = TRAIN.other("validation", rows=40_430)

TASK = Task(
    name="qqp",
    type=SequenceClassification(
        text="question1", text_pair="question2", labels=("not_duplicate", "duplicate"), positive=1
    ),
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.5,
    description="Do two questions ask the same? (The test labels are hidden.)",
    licence="Quora's terms of service",
    citation="Iyer, Dandekar and Csernai 2017; GLUE: Wang et al. 2019, ICLR",
    url="https://gluebenchmark.com",
)
