"""Recognising Textual Entailment (GLUE)."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TRAIN = Source(
    dataset="rte",
    split="train",
    path="nyu-mll/glue",
    name="rte",
    revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    rows=2_490,
    tokens_per_row=85,
)
DEV = TRAIN.other("validation", rows=277)

TASK = Task(
    name="rte",
    type=SequenceClassification(text="sentence1", text_pair="sentence2", labels=("entailment", "not_entailment")),
    train=TRAIN,
    dev=DEV,
    test=DEV,
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=0.5,
    description="Does a news text entail a sentence? (The test labels are hidden.)",
    licence="PASCAL RTE terms: free for research",
    citation="Dagan, Glickman and Magnini 2006; GLUE: Wang et al. 2019, ICLR",
    url="https://gluebenchmark.com",
)
