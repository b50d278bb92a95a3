"""SICK: entailment between sentences of simple, compositional English."""

from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TRAIN = Source(dataset="sick", split="train", path="RobZamp/sick", rows=4_439, tokens_per_row=32)

TASK = Task(
    name="sick",
    type=SequenceClassification(
        text="sentence_A", text_pair="sentence_B", labels=("entailment", "neutral", "contradiction")
    ),
    train=TRAIN,
    dev=TRAIN.other("validation", rows=495),
    test=TRAIN.other("test", rows=4_906),
    languages=("en",),
    dev_languages=("en",),
    main_score="accuracy",
    chance=1 / 3,
    description="Natural language inference on image and video captions.",
    licence="CC BY-NC-SA 3.0",
    citation="Marelli et al. 2014, LREC, aclanthology.org/L14-1314",
    url="https://marcobaroni.org/composes/sick.html",
)
